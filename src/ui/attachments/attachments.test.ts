import { expect, test, vi } from 'vitest';
import { INFO } from '../test/fake-engine';
import { Attachments } from './attachments';

vi.mock('./attachment-chips', () => ({}));

const words = async (text: string) => text.split(/\s+/).filter(Boolean).length;
const text = (name: string, content: string) => new File([content], name);
const seen = ({ items }: Attachments) =>
  items.map(({ name, tokens, refused, attached }) => [name, attached?.text ?? refused?.phrase ?? '…', tokens]);

test('files are read in their order, and counted: about, then by the model', async () => {
  const files = new Attachments();
  files.add([text('a.txt', 'one two three'), text('b.bin', '\0'), text('c.md', '你好')]);
  expect([files.busy, files.items.length, files.attached]).toEqual([true, 3, []]);
  await files.settled;
  expect(files.busy).toBe(false);
  await vi.waitFor(() =>
    expect(seen(files)).toEqual([
      ['a.txt', 'one two three', { count: 4, exact: false }],
      ['b.bin', 'fileBinary', null],
      ['c.md', '你好', { count: 2, exact: false }],
    ]),
  );
  expect(files.attached).toEqual([
    { name: 'a.txt', text: 'one two three' },
    { name: 'c.md', text: '你好' },
  ]);
  files.countWith(words, INFO);
  await vi.waitFor(() => expect(files.items[0].tokens).toEqual({ count: 3, exact: true }));
  files.remove(files.items[0].id);
  expect(files.attached).toHaveLength(1);
});

test('of a long text the first part is counted', async () => {
  const files = new Attachments();
  const counted: number[] = [];
  files.countWith(async (start) => {
    counted.push(start.length);
    return start.length / 2;
  }, INFO);
  files.paste('Pasted text', 'a'.repeat(1_000_000));
  await vi.waitFor(() => expect(files.items[0].tokens).toEqual({ count: 500_000, exact: false }));
  expect(counted).toEqual([200_000]);
});

test('a draft comes back, and more than twenty files do not go', async () => {
  const files = new Attachments();
  files.restore([{ name: 'r.pdf', text: 'one\ftwo' }]);
  expect(files.items).toMatchObject([{ name: 'r.pdf', pages: 2, pasted: false }]);
  files.add(Array.from({ length: 30 }, (_, i) => text(`${i}.txt`, 'x')));
  await files.settled;
  expect(files.attached).toHaveLength(20);
  expect(files.items.filter(({ refused }) => refused)).toMatchObject([{ refused: { phrase: 'filesTooMany' } }]);
  files.restore([]);
  expect(files.items).toEqual([]);
});

test('one that was taken away while it was read is not there again', async () => {
  const files = new Attachments();
  files.add([text('a.txt', 'a'), text('b.txt', 'b')]);
  files.remove(files.items[1].id);
  await files.settled;
  expect(seen(files).map(([name]) => name)).toEqual(['a.txt']);
});
