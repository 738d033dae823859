/** Whether a checkpoint was saved without the head of a language model, as models that embed are. Pure. */
import type { JsonObject } from '../formats/json';
import type { ModelSpec } from './spec';

/** The tensor of a head that is not the embedding. */
export const HEAD = 'lm_head.weight';

/** What a file that was saved from `AutoModel` says of itself: `MistralModel`, `Gemma3TextModel`. */
export const isBare = ({ architectures }: JsonObject): boolean =>
  Array.isArray(architectures) && architectures.some((name) => typeof name === 'string' && /Model$/.test(name));

/**
 * The spec, without a head where the checkpoint has none on purpose: saved from a class without one, or for embeddings.
 * Any other that lacks its head is damaged, which its tensors will show.
 * @param hasHead whether there is a tensor lm_head.weight
 * @param embeds whether files of sentence-transformers stand beside it
 */
export function withoutHead(spec: ModelSpec, config: JsonObject, hasHead: boolean, embeds: boolean): ModelSpec {
  const headless = !spec.tiedHead && !hasHead && (embeds || isBare(config));
  return headless ? { ...spec, headless } : spec;
}
