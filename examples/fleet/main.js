import { load } from 'nibble-llm';

// 'chat' is what compose.yaml calls it; the session's cookie says who asks, and no key is in the page
const remote = { url: '/v1', model: 'chat', timeoutMs: 20_000 };
const engine = await load('Qwen/Qwen3-0.6B', { remote, where: 'device-first', storage: 'if-room' });
const answer = engine.chat([{ role: 'user', content: 'Why is the sky blue?' }]);
try {
  for await (const text of answer) document.body.append(text);
} catch (error) {
  document.body.append(` … ${error.message}`);
}
const { sourceReason } = await engine.info();
document.body.append(document.createElement('hr'), `${answer.source}: ${sourceReason}`);
