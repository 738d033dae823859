/** Events as the body of a response. */
import { DONE, event } from './context';
import { apiError } from './errors';

/**
 * @param first the event that has come already
 * @param rest what comes behind it; what it throws is told as an event, as vLLM does, for the status has been sent
 * @param stopping aborted when nobody reads any more; when it is, the stream fails as that of a request would
 * @param ended called once, when there is no more
 */
export function streamOf(
  first: string,
  rest: AsyncGenerator<string, void>,
  stopping: AbortController,
  ended: () => void,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const { signal } = stopping;
  return new ReadableStream({
    start(controller) {
      signal.addEventListener('abort', () => controller.error(signal.reason), { once: true });
      controller.enqueue(encoder.encode(first));
    },
    async pull(controller) {
      try {
        const { value, done } = await rest.next();
        if (signal.aborted) return;
        if (!done) return controller.enqueue(encoder.encode(value));
      } catch (thrown) {
        if (signal.aborted) return;
        controller.enqueue(encoder.encode(event({ error: apiError(thrown).body }) + DONE));
      }
      ended();
      controller.close();
    },
    cancel() {
      stopping.abort();
      ended();
    },
  });
}
