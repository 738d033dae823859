/** Docstrings as the text of a page. */

/** A docstring as paragraphs and list items, one a line: its tags as sentences, after what it says by itself. */
export function prose(comment: string): string {
  const text = comment
    .replace(/^\/\*\*\s*|\s*\*\/\s*$/g, '')
    .replace(/^[ \t]*\* ?/gm, '')
    // a tag and its words, on one line
    .replace(/^(@\w+)\s+/gm, '\n$1 ')
    .replace(/ (@throws) /g, '\n\n$1 ');
  const blocks = text.split(/\n\s*\n|\n(?=- )/).map((block) => block.trim().replace(/\s*\n\s*/g, ' '));
  return blocks.filter(Boolean).map(sentence).join('\n');
}

const TAGS: Readonly<Record<string, string>> = { returns: 'Returns', throws: 'Throws', deprecated: 'Deprecated:' };

function sentence(block: string): string {
  const [, tag, words] = /^@(\w+) (.*)$/.exec(block) ?? [];
  if (!tag) return block;
  const [, name, rest] = /^(\S+) (?:- )?(.*)$/.exec(words) ?? [];
  return `${tag === 'param' ? `\`${name}\`: ${rest}` : `${TAGS[tag]} ${words}`}`.replace(/\.?$/, '.');
}
