/** Why a file is not taken: a phrase and what is put in, to be said in the language of whoever asks. */
import type { PhraseName, Put } from '../words/words';

export class Refused extends Error {
  constructor(
    readonly phrase: PhraseName,
    readonly put: Put = {},
  ) {
    super(phrase);
  }
}
