/** What can be done with the last answer by a key or from the palette: fetched after the first one. */
import { commands } from '../ui/commands/commands';
import { tell } from '../ui/commands/told';
import type { ChatSession } from '../ui/conversation/session';
import { copyText } from '../ui/copy-text';
import { learnSettings } from '../ui/words/languages';

/** What of the page is asked. */
export interface AnswerPage {
  /** what keeps the conversation on show */
  readonly kept: { readonly readOnly: boolean } | null;
}

async function copy(text: string): Promise<void> {
  // begun while the key is still the person's
  const copied = copyText(text);
  await learnSettings();
  tell((await copied) ? 'answerCopied' : 'answerNotCopied');
}

export function registerAnswerCommands(page: AnswerPage, session: ChatSession): void {
  const last = () => session.way.at(-1);
  const answered = () => session.way.findLast(({ message }) => message.role === 'assistant');
  const mayChange = () => !page.kept?.readOnly && session.phase !== 'answering';
  const isCut = (loops: boolean) => {
    const { cut, phase } = session;
    return (
      mayChange() && phase === 'ready' && last() === answered() && cut !== null && (cut.finish === 'loop') === loops
    );
  };
  const again = (penalty: boolean) => session.answerAnew(last()?.id ?? '', { anew: true, ...(penalty && { penalty }) });
  const isUndone = () => session.removed !== null || (session.closed !== null && session.messages.length === 0);
  commands.register({
    name: 'copyAnswer',
    keys: 'Mod+Shift+C',
    run: () => copy(answered()?.message.content ?? ''),
    when: () => answered() !== undefined && session.phase !== 'answering',
  });
  commands.register({
    name: 'continueLast',
    keys: 'Mod+Shift+Enter',
    run: () => session.continue(),
    when: () => isCut(false),
  });
  commands.register({
    name: 'answerLastAgain',
    keys: 'Mod+Shift+Y',
    run: () => again(false),
    when: () => mayChange() && last() !== undefined && (session.phase === 'ready' || session.unloaded),
  });
  commands.register({ name: 'withPenalty', run: () => again(true), when: () => isCut(true) });
  commands.register({
    name: 'undo',
    run: () => (session.removed === null ? session.undoNewChat() : session.undoRemove()),
    when: () => mayChange() && isUndone(),
  });
}
