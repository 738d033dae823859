/**
 * nibble-llm/remote: the same engine, answered by a server that the application's owner runs.
 *
 *   import { connect } from 'nibble-llm/remote';
 *   const engine = connect('https://llm.example/v1', { model: 'Qwen/Qwen3-8B', key });
 *   for await (const text of engine.chat([{ role: 'user', content: 'Hello!' }])) out.append(text);
 */
import type { Engine } from '../engine/engine';
import { Connection, type ConnectOptions } from './connection';
import { RemoteEngine } from './remote-engine';

export type { Engine } from '../engine/engine';
export type { ConnectOptions } from './connection';

/**
 * An engine whose model a server has: vLLM, SGLang, llama-server, Ollama, `transformers serve`, `nibble serve`, or what
 * else speaks OpenAI's API. Nothing is sent before it is asked; questions and answers go to that server, and nowhere
 * else. What a server cannot do, such as plan(), setLora() or token ids as a prompt, throws unsupported-remote. What an
 * answer's options do not say is the server's to decide, but for `maxNewTokens`, which is 256 here, too.
 * @param url address of the server's API, such as 'https://host/v1'; of an address without a path, /v1
 * @throws invalid-option for what is no address or no model's name, or an address with a password in it
 */
export function connect(url: string | URL, options: ConnectOptions): Engine {
  return new RemoteEngine(new Connection(url, options));
}
