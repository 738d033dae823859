/** The events of a server's stream, as JSON; read by eventsource-parser, whatever the pieces that it comes in. */
import { createParser } from 'eventsource-parser';

/** So many characters of one event, and it has no end. */
const MOST = 16 << 20;

/**
 * @param pieces the body, as it comes
 * @returns whether the stream said [DONE]; what came after it is not read
 * @throws what the pieces throw; SyntaxError for an event that is no JSON
 */
export async function* events(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<unknown, boolean> {
  const decoder = new TextDecoder();
  const waiting: string[] = [];
  let endless = false;
  const parser = createParser({
    maxBufferSize: MOST,
    onEvent: ({ data }) => waiting.push(data),
    onError: ({ type }) => {
      endless ||= type === 'max-buffer-size-exceeded';
    },
  });
  for await (const piece of pieces) {
    parser.feed(decoder.decode(piece, { stream: true }));
    if (endless) throw new SyntaxError(`one event has more than ${MOST} characters`);
    for (const data of waiting.splice(0)) {
      if (data.trim() === '[DONE]') return true;
      yield JSON.parse(data);
    }
  }
  return false;
}
