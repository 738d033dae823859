/**
 * OpenAI's client reads the same from this shape as from the streams that OpenAI's API reference shows (pages "Chat
 * Completions, Streaming" and "Responses, Create, Streaming", as of 2026): what stands in those is made here from their
 * pieces of text, in their order and with their fields.
 */
import OpenAI from 'openai';
import { expect, it } from 'vitest';
import { ASKED, listed, open } from '../test/openai-client';
import { text } from '../test/scripted-engine';

/** A client whose server says this. */
const replaying = (frames: string) =>
  new OpenAI({
    apiKey: 'none',
    fetch: async () => new Response(frames, { headers: { 'content-type': 'text/event-stream' } }),
  });

/** Without what each server has of its own: names, times, and whole responses. */
const OWN = /^(id|item_id|created|model|system_fingerprint|response|sequence_number|logprobs)$/;
const bare = (value: unknown) => JSON.parse(JSON.stringify(value, (key, inner) => (OWN.test(key) ? undefined : inner)));

it('/chat/completions', async () => {
  const pieces = ['Hello', '!', ' How', ' can', ' I', ' assist', ' you', ' today', '?'];
  const head = { id: 'chatcmpl-123', object: 'chat.completion.chunk', created: 1694268190, model: 'gpt-4o-mini' };
  const chunk = (delta: object, finish_reason: string | null = null) =>
    `data: ${JSON.stringify({
      ...head,
      system_fingerprint: 'fp_44709d6fcb',
      choices: [{ index: 0, delta, logprobs: null, finish_reason }],
    })}\n\n`;
  const deltas = [{ role: 'assistant', content: '' }, ...pieces.map((content) => ({ content }))];
  const published = `${deltas.map((delta) => chunk(delta)).join('')}${chunk({}, 'stop')}data: [DONE]\n\n`;

  const said = async (client: OpenAI) => {
    const stream = client.chat.completions.stream(ASKED);
    const seen: unknown[] = [];
    stream.on('content', (delta, snapshot) => seen.push([delta, snapshot]));
    const chunks = await listed(stream);
    return bare({ chunks, seen, final: (await stream.finalChatCompletion()).choices });
  };
  expect(await said(open({ parts: pieces.map((piece) => text(piece)) }).client)).toEqual(
    await said(replaying(published)),
  );
});

it('/responses', async () => {
  const pieces = ['Hi', ' there', '!', ' How', ' can', ' I', ' assist', ' you', ' today', '?'];
  const id = 'msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654';
  const whole = pieces.join('');
  const at = { item_id: id, output_index: 0, content_index: 0 };
  const message = { id, type: 'message', status: 'in_progress', role: 'assistant', content: [] as object[] };
  const part = { type: 'output_text', text: '', annotations: [] };
  const done = { ...message, status: 'completed', content: [{ ...part, text: whole }] };
  const response = { id: 'resp_67c9fdcecf488190', object: 'response', status: 'in_progress', output: [] as object[] };
  const events = [
    { type: 'response.created', response },
    { type: 'response.in_progress', response },
    { type: 'response.output_item.added', output_index: 0, item: message },
    { type: 'response.content_part.added', ...at, part },
    ...pieces.map((delta) => ({ type: 'response.output_text.delta', ...at, delta })),
    { type: 'response.output_text.done', ...at, text: whole },
    { type: 'response.content_part.done', ...at, part: { ...part, text: whole } },
    { type: 'response.output_item.done', output_index: 0, item: done },
    { type: 'response.completed', response: { ...response, status: 'completed', output: [done] } },
  ];
  const published = events.map((event, sequence_number) => {
    return `event: ${event.type}\ndata: ${JSON.stringify({ ...event, sequence_number })}\n\n`;
  });

  const said = async (client: OpenAI) => {
    const stream = client.responses.stream({ model: 'scripted', input: 'Hello!' });
    const seen: string[] = [];
    stream.on('response.output_text.delta', ({ snapshot }) => seen.push(snapshot));
    const all = await listed(stream);
    const { output, output_text } = await stream.finalResponse();
    return bare({ all, seen, output, output_text });
  };
  const ours = await said(open({ parts: pieces.map((piece) => text(piece)) }).client);
  expect(ours).toEqual(await said(replaying(published.join(''))));
  expect(ours.output_text).toBe(whole);
});
