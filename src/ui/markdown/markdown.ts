/**
 * Markdown with all that reads it, for whoever has it at hand already: message-list.ts fetches the lexer when it needs
 * it.
 */
import { BoundedLexer } from './bounded-lexer';
import { StreamingMarkdown as Streaming } from './streaming-markdown';

export class StreamingMarkdown extends Streaming {
  constructor() {
    super(BoundedLexer);
  }
}

/** A whole text. */
export const renderMarkdown = (text: string) => new StreamingMarkdown().update(text);
