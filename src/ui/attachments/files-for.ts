/** What of files goes with a question, by what the session's context has room for. */
import type { ChatSession } from '../conversation/session';
import type { Attached } from '../conversation/thread';
import { countAll } from '../search/count-tokens';
import { type QuestionContext, questionContext } from '../search/question-context';

/** An answer's tokens where none are set, as in session.ts. */
const ANSWER_TOKENS = 256;
/** Of the template and the system message. */
const AROUND = 96;

/** Tokens of the context that files may take: what history (a quarter at most), answer and question leave. */
async function roomFor(session: ChatSession, question: string): Promise<number> {
  const context = session.info?.options.maxContext ?? 2048;
  const answer = Math.min(session.settings.maxNewTokens ?? ANSWER_TOKENS, context / 2);
  const { stats } = session.way.at(-1) ?? {};
  const history = stats ? Math.min(stats.promptTokens + stats.newTokens, context / 4) : 0;
  const asked = await countAll(`${session.settings.system ?? ''}${question}`, session.countTokens);
  return Math.max(0, Math.floor(context - answer - history - asked.count - AROUND));
}

/** @returns null where there is nothing to be said of any file */
export async function filesFor(
  session: ChatSession,
  question: string,
  attached: readonly Attached[],
): Promise<QuestionContext | null> {
  const earlier = session.way.flatMap((turn) => turn.attached ?? []).filter(({ used }) => used);
  const room = await roomFor(session, question);
  const count = async (text: string) => (await countAll(text, session.countTokens)).count;
  return questionContext(question, attached, { room, count, earlier });
}
