/** Sees to it that files go with the questions of a session: what of them, is known when a question's turn has come. */
import type { ChatSession } from '../conversation/session';
import { pageVocabulary } from '../words/words';

/** What refuses or adds to a question before goes before. */
export function sendFiles(session: ChatSession): void {
  const before = session.hooks.beforeSend;
  session.hooks.beforeSend = async (message) => {
    const verdict = await before?.(message);
    if (verdict !== undefined) return verdict;
    const { question, extra } = message;
    const attached = extra.attached ?? [];
    const hasEarlier = session.way.some((turn) => turn.attached?.some(({ used }) => used));
    if (attached.length === 0 && !hasEarlier) return;
    try {
      const { filesFor } = await import('./files-for');
      return (await filesFor(session, question, attached)) ?? undefined;
    } catch {
      return attached.length === 0 ? undefined : { refuse: pageVocabulary.say('fileNoCode') };
    }
  };
}
