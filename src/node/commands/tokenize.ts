/** nibble tokenize, nibble detokenize: the model's tokenizer alone. */
import { checkIds } from '../../execute/check-prompt';
import { type Arguments, invalid } from '../arguments';
import { openTokenizer } from '../open';
import { COMMAND, print } from '../terminal';

export async function tokenize(args: Arguments): Promise<void> {
  args.required('text');
  const text = (await args.input('text'))!;
  const { tokenizer } = await openTokenizer(args, args.positional(0, 'MODEL'));
  const ids = tokenizer.encode(text, { special: args.flag('special'), bos: false });
  await print(args, { ids }, () => ids.join(','));
}

export async function detokenize(args: Arguments): Promise<void> {
  const ids = await args.ids();
  if (!ids) throw invalid('ids', undefined, `${COMMAND} detokenize needs --ids.`);
  const { tokenizer, vocab } = await openTokenizer(args, args.positional(0, 'MODEL'));
  const text = tokenizer.decode(checkIds(ids, vocab), { skipSpecial: false });
  await print(args, { text }, () => text);
}
