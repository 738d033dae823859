/** nibble embed: vectors of the texts in a file. */
import { EMBED_OPTIONS } from '../../options/reading';
import type { EmbedOptions } from '../../protocol';
import { type Arguments, invalid } from '../arguments';
import { readText } from '../input-file';
import { nextId, open } from '../open';
import { log, print } from '../terminal';

/** A JSON array of texts, or a text a line; a line end at the end begins no other. */
function textsIn(content: string, file: string): string[] {
  const list = arrayIn(content);
  if (!list) return content === '' ? [] : content.replace(/\r?\n$/, '').split(/\r?\n/);
  const other = list.findIndex((text) => typeof text !== 'string');
  if (other < 0) return list as string[];
  throw invalid(
    'FILE',
    file,
    `${file}: element ${other} of its JSON is no text. Give an array of texts, or a text a line.`,
  );
}

/** null: it is no JSON array, as text that begins with a bracket is none. */
function arrayIn(content: string): unknown[] | null {
  try {
    const value: unknown = content.trimStart().startsWith('[') ? JSON.parse(content) : null;
    return Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

export async function embed(args: Arguments): Promise<void> {
  const options = args.options<EmbedOptions>(EMBED_OPTIONS);
  const file = args.positional(1, 'FILE');
  const texts = textsIn(await readText(args, 'FILE', file), file);
  if (texts.length === 0)
    throw invalid('FILE', file, `${file} holds no text: give a text a line, or a JSON array of texts.`);
  const { session } = await open(args, args.positional(0, 'MODEL'));
  const id = nextId();
  args.interrupt.signal.addEventListener('abort', () => void session.cancel(id));
  await args.interrupt.gently(async () => {
    const { embeddings, ids, dimensions, tokens } = await session.embed({ id, texts, options });
    const vectors = embeddings.map((vector) => Array.from(vector));
    await print(args, { embeddings: vectors, ids, dimensions }, () =>
      vectors.map((one) => JSON.stringify(one)).join('\n'),
    );
    log(args, `${texts.length} texts, ${tokens} tokens, ${dimensions} dimensions`);
  });
  await session.dispose();
}
