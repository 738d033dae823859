/** nibble rerank: how well documents answer queries. */
import { isObject } from '../../formats/json';
import { RERANK_OPTIONS } from '../../options/reading';
import type { RerankOptions, RerankRequest } from '../../protocol';
import { type Arguments, invalid } from '../arguments';
import { readText } from '../input-file';
import { nextId, open } from '../open';
import { log, print } from '../terminal';

const FORM = 'a JSON array of { "query": …, "document": … }, at least one';

function pairsIn(content: string, file: string): RerankRequest['pairs'] {
  let list: unknown;
  try {
    list = JSON.parse(content);
  } catch (cause) {
    throw invalid('FILE', file, `${file} is no JSON (${(cause as Error).message}). It must hold ${FORM}.`);
  }
  if (!Array.isArray(list) || list.length === 0) throw invalid('FILE', file, `${file} must hold ${FORM}.`);
  return list.map((pair, place) => {
    const { query, document } = isObject(pair) ? pair : {};
    if (typeof query === 'string' && typeof document === 'string') return { query, document };
    throw invalid(
      'FILE',
      file,
      `${file}: element ${place} has no query or no document that is a text. It must hold ${FORM}.`,
    );
  });
}

export async function rerank(args: Arguments): Promise<void> {
  const options = args.options<RerankOptions>(RERANK_OPTIONS);
  const file = args.positional(1, 'FILE');
  const pairs = pairsIn(await readText(args, 'FILE', file), file);
  const { session } = await open(args, args.positional(0, 'MODEL'));
  const id = nextId();
  args.interrupt.signal.addEventListener('abort', () => void session.cancel(id));
  await args.interrupt.gently(async () => {
    const { scores, tokens, reusedTokens } = await session.rerank({ id, pairs, options });
    await print(args, { scores }, () => scores.join('\n'));
    log(args, `${pairs.length} documents, ${tokens} tokens, ${reusedTokens} of them not computed again`);
  });
  await session.dispose();
}
