/** nibble logits: what the model predicts after --ids. */
import { encodeInput } from '../../runtime/prompt';
import type { Arguments } from '../arguments';
import { open } from '../open';
import { runPrompt } from '../run-prompt';
import { print } from '../terminal';

export async function logits(args: Arguments): Promise<void> {
  args.required('ids');
  const given = (await args.ids()) ?? [];
  const { session } = await open(args, args.positional(0, 'MODEL'));
  const model = session.model();
  const { ids } = encodeInput(model, { ids: given });
  const rows: number[][] = [];
  await runPrompt(model, ids, args.flag('all') ? (_, row) => rows.push(Array.from(row)) : undefined);
  const values = args.flag('all') ? rows : Array.from(await model.executor.logits());
  await print(args, { logits: values }, () => JSON.stringify(values));
  await session.dispose();
}
