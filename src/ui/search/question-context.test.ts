import { expect, test } from 'vitest';
import type { Attached } from '../conversation/thread';
import { estimateTokens } from './estimate-tokens';
import { questionContext } from './question-context';

const count = async (text: string) => estimateTokens(text);
const page = (name: string, fact: string) =>
  `${name}\n\n${`The ${name} is described here at some length. `.repeat(20)}\n\n${fact}`;
const PAGES = ['harbour', 'market', 'lighthouse', 'bakery', 'station', 'museum', 'garden', 'school'];
const BOOK: Attached = {
  name: 'town.pdf',
  text: PAGES.map((name) => page(name, `Nobody may fish near the ${name}.`)).join('\f'),
};
const NOTE: Attached = { name: 'note.md', text: 'The password is "quince".' };

test('what there is room for is sent as a whole', async () => {
  const sent = await questionContext('What is the password?', [NOTE], { room: 500, count });
  expect(sent).toEqual({ context: 'File "note.md":\nThe password is "quince".', attached: [NOTE] });
});

test('of what is longer the passages that fit, with their pages, in the order of the file', async () => {
  const sent = await questionContext('What is said of the lighthouse, and of the school?', [NOTE, BOOK], {
    room: 700,
    count,
  });
  const [note, book] = sent!.attached;
  expect(note).toEqual(NOTE);
  expect(book.text).toBe(BOOK.text);
  expect(book.used!.map((each) => each.page)).toEqual([3, 8]);
  for (const { text } of book.used!) expect(BOOK.text).toContain(text);
  expect(sent!.context).toMatch(
    /^File "note\.md":[\s\S]*Passages of "town\.pdf":\n\[page 3\]\n[\s\S]*The lighthouse is described[\s\S]*\n\[page 8\]\n[\s\S]*the school\./,
  );
  expect(sent!.context).not.toContain('\f');
  expect(estimateTokens(sent!.context)).toBeLessThanOrEqual(700);
});

test('a question that follows gets other passages of the same file, and does not keep its text twice', async () => {
  const first = await questionContext('the lighthouse?', [BOOK], { room: 300, count });
  expect(first!.attached[0].used).toHaveLength(1);
  const earlier = first!.attached;
  const second = await questionContext('And the school?', [], { room: 300, count, earlier });
  expect(second!.attached).toMatchObject([{ name: 'town.pdf', text: '', used: [{ page: 8 }] }]);
  expect(second!.context).toContain('[page 8]');
  const third = await questionContext('the museum?', [], {
    room: 300,
    count,
    earlier: [...earlier, ...second!.attached],
  });
  expect(third!.attached).toMatchObject([{ text: '', used: [{ page: 6 }] }]);
});

test('without room nothing is sent, and it is seen', async () => {
  const sent = await questionContext('the lighthouse?', [BOOK], { room: 30, count });
  expect(sent).toEqual({ context: '', attached: [{ ...BOOK, used: [] }] });
  expect(await questionContext('the lighthouse?', [], { room: 30, count })).toBeNull();
});
