/** POST /embeddings. */
import type { CreateEmbeddingResponse, Embedding } from 'openai/resources/embeddings';
import { promptsOf } from './completions';
import type { Context } from './context';
import { refused } from './errors';
import type { Fields } from './fields';

/** Little-endian numbers of 32 bits, as OpenAI has them in a text. */
function base64(vector: Float32Array): string {
  const view = new DataView(new ArrayBuffer(4 * vector.length));
  vector.forEach((value, place) => {
    view.setFloat32(4 * place, value, true);
  });
  return btoa(Array.from(new Uint8Array(view.buffer), (byte) => String.fromCharCode(byte)).join(''));
}

/** A vector of each input; ids are read as the text that they spell. */
export async function embeddings({ engine, model, signal }: Context, fields: Fields): Promise<CreateEmbeddingResponse> {
  const inputs = promptsOf(fields, 'input');
  const dimensions = fields.whole('dimensions', 1);
  const format = fields.text('encoding_format') ?? 'float';
  if (format !== 'float' && format !== 'base64') refused(fields.at('encoding_format'), 'float or base64');
  const texts = await Promise.all(inputs.map((one) => (typeof one === 'string' ? one : engine.detokenize(one))));
  const { embeddings: vectors, tokens } = await engine.embed(texts, { ...(dimensions && { dimensions }), signal });
  const told = (vector: Float32Array) => (format === 'float' ? Array.from(vector) : (base64(vector) as unknown));
  const data = vectors.map(
    (vector, index): Embedding => ({ object: 'embedding', index, embedding: told(vector) as number[] }),
  );
  return { object: 'list', data, model, usage: { prompt_tokens: tokens, total_tokens: tokens } };
}
