/** Conversations as files: JSON that can be imported again with all that was said, Markdown to be read. */
import { wayOf } from '../../ui/conversation/thread';
import type { Conversation } from './conversation';

/** What a file of exported conversations says of itself. */
export const EXPORT_KIND = 'nibble-conversations';

/** Saved caches stay where they are: they are of this browser. */
export const asJson = (conversations: readonly Conversation[]): string =>
  JSON.stringify(
    {
      kind: EXPORT_KIND,
      version: 1,
      conversations: conversations.map(({ cache: _, cached: __, ...conversation }) => conversation),
    },
    null,
    1,
  );

/** What is shown of it: a heading a message, with the reasoning folded. */
export function asMarkdown({ title, thread, named, settings }: Conversation): string {
  const parts = [`# ${title}`];
  if (named) parts.push(`Model: ${named.model}`);
  if (settings.system) parts.push(`> ${settings.system.replaceAll('\n', '\n> ')}`);
  for (const { message, model, question } of wayOf(thread)) {
    const speaker = message.role === 'user' ? 'You' : (model ?? 'Model');
    parts.push(`## ${speaker}`);
    if (message.reasoning_content)
      parts.push(`<details><summary>Reasoning</summary>\n\n${message.reasoning_content}\n\n</details>`);
    parts.push(question ?? message.content);
  }
  return `${parts.join('\n\n')}\n`;
}

/** A name that every system takes. */
export const fileName = (title: string, ending: string): string =>
  `${
    title
      .replace(/[\s\\/:*?"<>|\p{Cc}]+/gu, ' ')
      .trim()
      .slice(0, 80) || 'conversation'
  }.${ending}`;
