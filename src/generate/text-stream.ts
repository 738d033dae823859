/** Ids to text that may be shown: whole characters, up to the first stop string. */
import { createDetokenizer } from '../text/detokenizer';
import { createStopMatcher } from '../text/stop-strings';
import type { Tokenizer } from '../text/tokenizer';
import type { TextStream } from './generate';

export function createTextStream(tokenizer: Tokenizer, stops: readonly string[]): TextStream {
  const characters = createDetokenizer(tokenizer);
  const matcher = createStopMatcher(stops);
  return {
    push: (id) => matcher.push(characters.push([id])),
    end: () => matcher.push(characters.flush()).text + matcher.flush(),
  };
}
