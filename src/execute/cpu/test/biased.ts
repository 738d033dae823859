/** A small random Qwen2 with key biases as large as Qwen2.5-0.5B's, which int8 keys must not be rounded with. */
import type { PlanRequest } from '../../../memory/plan';
import { parseSpec } from '../../../model/parse';
import type { OneCache } from '../../test/one-cache';
import { CPU, type Maker, randomModel, randomValues } from './models';

const HEAD = 64;

export const BIASED = parseSpec({
  model_type: 'qwen2',
  hidden_size: 128,
  intermediate_size: 256,
  num_hidden_layers: 3,
  num_attention_heads: 6,
  num_key_value_heads: 2,
  head_dim: HEAD,
  vocab_size: 512,
  max_position_embeddings: 1024,
  rope_theta: 1e6,
});

/** Real models' large biases are on pairs of channels that hardly turn. */
export const SLOWEST_PAIR = HEAD / 2 - 2;

/** @param pair of channels of a head that has biases of ±200, as has the next; others have ±3 */
export function biasedModel(pair: number, size: Partial<PlanRequest>, maker: Maker = CPU): Promise<OneCache> {
  const bias = (length: number) =>
    randomValues(length, 5).map((value, i) => {
      const j = i % (HEAD / 2);
      return j === pair || j === pair + 1 ? 200 * Math.sign(value) : 3 * value;
    });
  return randomModel(BIASED, size, undefined, {
    ...maker,
    async make(model, plan) {
      const executor = await maker.make(model, plan);
      const { writeVector } = executor.sink;
      executor.sink.writeVector = (name, values) =>
        writeVector.call(executor.sink, name, name.endsWith('k_proj.bias') ? bias(values.length) : values);
      return executor;
    },
  });
}
