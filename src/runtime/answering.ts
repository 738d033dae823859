/** What only a loaded model needs, in one piece: its code arrives while weights do, and is here, offline too, when they are. */
export { Sequences } from '../generate/sequences';
export { modelInfo } from './model-info';
export { encodeMessages, encodeText, tokenizerOf } from './prompt';
export { respond } from './respond';
export { textParts } from './text-parts';
