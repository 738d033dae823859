/**
 * The lazy modules of src/: what is imported by `import()`, so that a visitor downloads it when it is needed and not
 * before. This is their only list: sizes (size.ts) and files (vite.config.ts) are read from it, and a test compares it
 * with the code. The service worker keeps them all, whatever they are called.
 */

/**
 * What a visitor does not wait for, by path in src/, and what needs it. It does not count where limits of sizes are
 * checked.
 */
export const LATER: Readonly<Record<string, string>> = {
  'chat/kept-chat': 'a first visit, once the model is here',
  'checkpoint/quantised': 'weights that are kept as they were quantised here',
  'constraint/index': 'answers under a constraint',
  'engine/partial-json': 'who asks for the objects of an answer',
  'engine/tool-loop': 'answers with tools',
  'execute/convert-dense': 'weights of 16 and 32 bits',
  'execute/gpu/adapters': 'LoRA adapters',
  'execute/gpu/kv-rows': 'conversations that are saved',
  'execute/gpu/read-rows': 'adapters with trained tokens',
  'execute/gpu/read-prompts': 'embeddings, and how likely a text is',
  'execute/gpu/row-norms': 'DoRA',
  'execute/gpu/shift': 'conversations that outgrow their context',
  'formats/gguf': 'a GGUF',
  'formats/other-files': 'errors that say what a folder has instead of a model',
  'formats/sentence-transformers': 'models that make embeddings',
  'formats/tied-head': 'a head beside an embedding that is said to be it',
  'gpu/timestamps': 'profiles',
  'kernels/quantize': 'dense weights',
  'kernels/scatter-k': 'K-quants of a GGUF',
  'memory/advice': 'words about memory, fetched while weights stream',
  'runtime/answering': 'a question, fetched while weights stream',
  'runtime/clone-cache': 'conversations that are cloned',
  'runtime/choose-kernels': 'real GPUs, beside the weights',
  'runtime/inspect': 'who asks what a model would take',
  'runtime/lora': 'LoRA adapters',
  'runtime/prompt-cache': 'conversations that are saved',
  'runtime/reading': 'embeddings, reranking, and how likely a text is',
  'sources/hub-source': 'a model of the Hub',
  'store/earlier-parts': 'what an earlier visit kept of weights without a manifest',
  'store/file-digests': "the Hub's weights",
  'store/part-reader': 'weights without a manifest',
  'store/stored-models': 'who asks what is kept',
  'text/index': 'a question, fetched while weights stream',
  'ui/markdown/bounded-lexer': 'the first message that is Markdown',
};

/** The executors: of these a visitor downloads one, and the larger one counts. */
export const EXECUTORS: readonly string[] = ['execute/on-cpu', 'execute/on-gpu'];

/** What nearly every visitor sees before any weights come: it counts. */
export const AT_ONCE: readonly string[] = ['ui/memory/memory-panel', 'ui/models/models-dialog', 'widget/index'];

/** What a module's file is called in a build, without folder and digest: an index by its folder. */
export const chunkName = (path: string): string => path.replace(/\/index$/, '').replace(/.*\//, '');
