/** What only a loaded model needs, in one lazy module: it is fetched while weights are, so it is here offline too. */
export { Sequences } from '../generate/sequences';
export { modelInfo } from './model-info';
export { openTokenizer } from './open-tokenizer';
export { encodeMessages, encodeText, tokenizerOf } from './prompt';
export { respond } from './respond';
