/** For tests: Markdown read by the lexer that the page fetches. */
import { BoundedLexer } from '../bounded-lexer';
import { DEEPEST, StreamingMarkdown } from '../markdown';

export const newMarkdown = () => new StreamingMarkdown((text) => new BoundedLexer(DEEPEST).lex(text));

/** A whole text. */
export const renderMarkdown = (text: string) => newMarkdown().update(text);
