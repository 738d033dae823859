/** A Worker that is a MessageChannel with the real session at its other end. */
import { expose } from 'comlink';
import { openSource } from '../../runtime/open-source';
import { createSession, type Session } from '../../runtime/session';
import { createMemoryStore } from '../../store/chunk-store';

/**
 * @param store shared by all workers, as a browser's is
 * @param change puts something between the engine and each session
 * @param gpu null: the CPU computes
 */
export function sessionWorkers(
  store = createMemoryStore(),
  change: (session: Session) => Session = (session) => session,
  gpu: GPU | null = null,
): () => Worker {
  return () => {
    const { port1, port2 } = new MessageChannel();
    expose(change(createSession({ gpu, openSource, openStore: async () => ({ store, reason: '' }) })), port2);
    const terminate = () => {
      port1.close();
      port2.close();
    };
    return Object.assign(port1, { terminate }) as unknown as Worker;
  };
}
