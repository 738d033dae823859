/** Names of tensors, as they differ between the classes that wrote them. */

/**
 * A tensor's name as a language model alone has it. AutoModel's files have `layers.0…`, those of multimodal models
 * `language_model.model.layers.0…` or `model.language_model.layers.0…`; what other towers hold keeps its name.
 */
export const plainName = (name: string): string =>
  name
    .replace(/^(?:(?:base_model|model|language_model|module)\.)*(?=(?:layers\.\d+|embed_tokens|norm)\.)/, 'model.')
    .replace(/^(?:(?:base_model|model|language_model|module)\.)+(?=lm_head\.)/, '');
