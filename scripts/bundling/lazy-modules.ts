/**
 * The lazy modules of src/: what is imported by `import()`, so that a visitor downloads it when it is needed and not
 * before. This is their only list: sizes (size.ts) and files (vite.config.ts) are read from it, and a test compares it
 * with the code. The service worker keeps them all, whatever they are called.
 */

/** What not every visitor needs, or not before something else, by path in src/, and what needs it. */
export const LATER: Readonly<Record<string, string>> = {
  'chat/as-app': 'who has an answer, leaves the page, or opens or shares something with it',
  'chat/answer-commands': 'what can be done with the last answer, by a key or from the palette',
  'chat/bar-menu': "who presses the last button of a phone's bar",
  'chat/server-engine': 'who lets a server answer',
  'chat/conversations/migrate': 'what an earlier version of the page kept',
  'chat/conversations/import': 'who imports conversations',
  'chat/conversations/search': 'who searches conversations',
  'chat/conversations/sidebar': 'who has talked before, or has now',
  'chat/kept-conversations': 'who has talked before; at a first visit, once the first answer has begun',
  'chat/kept-setting': 'who chooses a model',
  'checkpoint/quantised': 'weights that are kept as they were quantised here',
  'runtime/constrain': 'answers under a constraint',
  'engine/keep-model': 'who keeps a model for later',
  'engine/partial-json': 'who asks for the objects of an answer',
  'engine/tool-loop': 'answers with tools',
  'execute/convert-dense': 'weights of 16 and 32 bits',
  'execute/gpu/adapters': 'LoRA adapters',
  'execute/gpu/decode-together': 'several answers at once',
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
  'remote/modes': 'who lets a server answer, too',
  'runtime/answering': 'a question, fetched while weights stream',
  'runtime/clone-cache': 'conversations that are cloned',
  'runtime/company': 'several answers at once',
  'runtime/download': 'who keeps a model for later, in the worker',
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
  'tabs/model-host': 'a load that no other tab has done',
  'text/index': 'a question, fetched while weights stream',
  'ui/attachments/attachments': 'who attaches a file, or pastes a long text',
  'ui/attachments/read-pdf': 'a PDF',
  'ui/attachments/files-for': 'a question with files',
  'chat/keeping': 'who opens the settings',
  'ui/commands/palette': 'who searches commands',
  'ui/commands/shortcuts': 'who asks for the keys',
  'ui/attachments/used-files': 'a question with files',
  'ui/composer/prompts-panel': 'who saves prompts',
  'ui/conversation/loop-detector': 'answers of more than a few sentences',
  'ui/conversation/message-bar': 'what can be done with a message, after the first answer',
  'ui/conversation/sentences': 'answers that are spoken by sentences',
  'ui/markdown/bounded-lexer': 'the first message that is Markdown',
  'ui/markdown/code-colours': 'code with a language: highlight.js, which fetches each language by itself',
  'ui/markdown/code-head': 'code',
  'ui/markdown/mathml': 'formulas',
  'ui/memory/memory-panel': 'what a model would take',
  'ui/models/models-dialog': 'who chooses a model',
  'ui/settings/settings-dialog': 'who opens the settings',
  'ui/words/ar': 'who reads Arabic',
  'ui/words/en-settings': 'who opens the settings, or searches commands',
  'ui/words/de': 'who reads German',
  'ui/words/es': 'who reads Spanish',
  'ui/words/fr': 'who reads French',
  'ui/words/zh': 'who reads Chinese',
};

/** The executors: of these a visitor downloads one, and the larger one counts. */
export const EXECUTORS: readonly string[] = ['execute/on-cpu', 'execute/on-gpu'];

/** What goes with an entry that imports it as soon as it runs. */
export const AT_ONCE: readonly string[] = ['widget/index'];

/**
 * What a first visit to the chat page fetches between its first paint and its first answer, beside the worker and one
 * executor: e2e/first-visit.spec.ts compares it with what a browser fetches.
 */
export const FIRST_ANSWER: readonly string[] = [
  'formats/other-files',
  'formats/tied-head',
  'memory/advice',
  'runtime/answering',
  'runtime/inspect',
  'runtime/prompt-cache',
  'store/stored-models',
  'tabs/model-host',
  'text/index',
  'ui/markdown/bounded-lexer',
  'ui/memory/memory-panel',
];

/** What a first visit fetches once its first answer has begun, and which delays nothing. */
export const AFTER_FIRST: readonly string[] = [
  'chat/as-app',
  'chat/answer-commands',
  'chat/conversations/sidebar',
  'chat/kept-conversations',
  'ui/conversation/loop-detector',
  'ui/conversation/message-bar',
  'ui/conversation/sentences',
];

/** What the executor on the GPU takes with it then. */
export const WITH_GPU: readonly string[] = ['execute/gpu/kv-rows', 'execute/gpu/shift'];

/** What a module's file is called in a build, without folder and digest: an index by its folder. */
export const chunkName = (path: string): string => path.replace(/\/index$/, '').replace(/.*\//, '');
