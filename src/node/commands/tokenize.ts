/** nibble tokenize, nibble detokenize: the model's tokenizer alone. */
import { checkIds } from '../../execute/check-prompt';
import { type Arguments, invalid } from '../arguments';
import { openTokenizer } from '../open';
import { print } from '../terminal';

export async function tokenize(args: Arguments): Promise<void> {
  const text = args.required('text');
  const { tokenizer } = await openTokenizer(args.positional(0, 'MODEL'));
  const ids = tokenizer.encode(text, { special: args.flag('special'), bos: false });
  await print(args, { ids }, () => ids.join(','));
}

export async function detokenize(args: Arguments): Promise<void> {
  const ids = args.ids();
  if (!ids) throw invalid('ids', undefined, 'nibble detokenize needs --ids.');
  const { tokenizer, vocab } = await openTokenizer(args.positional(0, 'MODEL'));
  const text = tokenizer.decode(checkIds(ids, vocab), { skipSpecial: false });
  await print(args, { text }, () => text);
}
