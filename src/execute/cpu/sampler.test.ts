import { expect, it } from 'vitest';
import { parseSpec } from '../../model/parse';
import { describeSampler } from '../test/sampler-cases';
import { CPU, GREEDY, randomModel } from './test/models';

describeSampler(CPU);

it('draws nothing from logits that adapters took away in the middle of an answer', async () => {
  const spec = parseSpec({
    model_type: 'llama',
    hidden_size: 32,
    intermediate_size: 64,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    vocab_size: 33,
    max_position_embeddings: 64,
  });
  const executor = await randomModel(spec, { promptTokens: 3, maxNewTokens: 5 });
  await executor.prefill([1, 2, 3], 0);
  const ids = executor.decode(3, 5, GREEDY)[Symbol.asyncIterator]();
  expect((await ids.next()).done).toBe(false);
  await executor.setAdapters(null);
  await expect(ids.next()).rejects.toMatchObject({ code: 'invalid-option', message: /no logits yet/ });
});
