/** What a person has written and not sent yet. */
import type { Attached } from '../conversation/thread';

export interface Draft {
  readonly text: string;
  readonly attached: readonly Attached[];
}

export const EMPTY_DRAFT: Draft = { text: '', attached: [] };

/** Whether two are the same to a person. */
export function isSameDraft(a: Draft, b: Draft): boolean {
  const same = (one: Attached, index: number) =>
    one.name === b.attached[index].name && one.text === b.attached[index].text;
  return a.text === b.text && a.attached.length === b.attached.length && a.attached.every(same);
}
