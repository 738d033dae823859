/** Hostile Markdown: the pieces that Markdown is made of, again and again. */
import fc from 'fast-check';
import type { Hostile } from '../../formats/test/hostile';
import { renderMarkdown } from '../markdown/markdown';
import { seen } from './rendered';

const FRAGMENTS =
  '> |- |1. |* |# |\n|\n\n|    |\t|`|```|```\n|~~~|*|**|_|__|~~|[|]|(|)|![|](|[a](b)|[a]: b|<|</|<a |<!--|<![CDATA[|>|&|&amp;|\\|@|a@b.c|http://|https:///|www.|://u:p@h|mailto:|javascript:|a|a.|é|\u{1F600}|\u0301|\ud800|\0|\r\n|:-|-|=|+|"|\'|$| '.split(
    /\|(?!$)/,
  );

const runs = fc.array(
  fc.tuple(
    fc.array(fc.constantFrom(...FRAGMENTS, '|'), { minLength: 1, maxLength: 6 }).map((pieces) => pieces.join('')),
    fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 5000 })),
  ),
  { minLength: 1, maxLength: 6 },
);

/** So many texts of at most so many characters, of a seed; what is seen of each is what `take` returns. */
export function hostileMarkdown(seed: number, count: number, longest = 12_000): (Hostile & { text: string })[] {
  return fc.sample(runs, { seed, numRuns: count }).map((parts, i) => {
    const text = parts
      .map(([piece, times]) => piece.repeat(times))
      .join('')
      .slice(0, longest);
    const said = `seed ${seed}, number ${i}: ${JSON.stringify(parts)}`;
    return { said, text, bytes: text.length, take: () => seen(renderMarkdown(text)) };
  });
}
