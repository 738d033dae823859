/** An engine's tokenizer, whoever has it. */
import type { Engine, EngineTokenizer } from '../engine/engine';

/** @param engine is asked for each */
export const tokenizerOf = (engine: Pick<Engine, 'tokenize' | 'detokenize'>): EngineTokenizer => ({
  encode: (text, options) => engine.tokenize(text, options),
  decode: (ids) => engine.detokenize(ids),
  count: async (text, options) => (await engine.tokenize(text, options)).length,
});
