/** Questions of the page's scripts: each is told its own answer, whoever else asks. */
import { NibbleError } from '../errors';
import type { ChatMessage } from '../protocol';
import type { ChatSession } from '../ui/conversation/session';

/** Questions that a script may take back, by the session that they wait in. */
const asked = new WeakMap<ChatSession, Set<string>>();

/**
 * Asks, or waits until that can be.
 * @returns the answer
 * @throws what answering and loading throw, what refused the question, and aborted where nothing was said
 */
export async function askFor(session: ChatSession, question: string): Promise<ChatMessage> {
  // nothing can be answered, and the visitor has been told
  if (session.phase === 'idle' && session.error) throw session.error;
  let mine = false;
  let answer: ChatMessage | null = null;
  let failure: NibbleError | null = null;
  let id: string | undefined;
  const isWaiting = () => session.waiting.some((one) => one.id === id);
  // questions are answered in their order: of two that are the same, the later one hears both, and its own last
  const message = (event: Event) => {
    const { detail } = event as CustomEvent<ChatMessage>;
    if (detail.role === 'user') mine = detail.content.endsWith(question.trim());
    else if (mine) answer = detail;
  };
  const error = (event: Event) => {
    const noModel = session.phase === 'idle' && isWaiting();
    // another's question went wrong: this one waits for what the visitor does about that
    if (!mine && !noModel && session.waiting[0]?.id !== id) return;
    failure = (event as CustomEvent<NibbleError>).detail;
    if (noModel) session.withdraw(id!);
  };
  session.addEventListener('message', message);
  session.addEventListener('error', error);
  const before = new Set(session.waiting);
  const settled = session.ask(question);
  id = session.waiting.find((one) => !before.has(one))?.id;
  const ids = asked.get(session) ?? new Set();
  asked.set(session, ids);
  if (id) ids.add(id);
  try {
    await settled;
  } finally {
    session.removeEventListener('message', message);
    session.removeEventListener('error', error);
    if (id) ids.delete(id);
  }
  if (failure) throw failure;
  if (!answer) throw new NibbleError('aborted', 'The question was withdrawn before it was answered.');
  return answer;
}

/** Takes back the questions of scripts that wait. */
export function withdrawAsked(session: ChatSession): void {
  for (const { id } of session.waiting) if (asked.get(session)?.has(id)) session.withdraw(id);
}
