/** A file or a long paste that goes with a question, from the moment it is attached. */
import type { Attached } from '../conversation/thread';
import type { PhraseName, Put } from '../words/words';

export interface Attachment {
  readonly id: number;
  readonly name: string;
  /** null while it is read, and where it was refused */
  readonly attached: Attached | null;
  /** of a PDF; 1 for what has none */
  readonly pages: number;
  /** null while they are counted; `exact`: by the model's tokenizer */
  readonly tokens: { readonly count: number; readonly exact: boolean } | null;
  readonly refused: { readonly phrase: PhraseName; readonly put: Put } | null;
  /** a paste, which can be put back into the field */
  readonly pasted: boolean;
}
