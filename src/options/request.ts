/** The options of one answer: SamplingOptions in protocol.ts says what each is for at length. */
import type { SamplingOptions } from '../protocol';
import type { Specs } from './spec';

/** What a count may be on the GPU. */
const MOST = 2 ** 31;

export const REQUEST_OPTIONS = {
  maxNewTokens: {
    type: 'number',
    least: 1,
    most: MOST,
    whole: true,
    generationConfig: 'max_new_tokens',
    says: "Tokens that the answer may have; 256 where neither this nor the model's generation_config.json says otherwise.",
  },
  temperature: {
    type: 'number',
    least: 0,
    most: 100,
    generationConfig: 'temperature',
    says: "How freely tokens are drawn; 0 takes the likeliest. The model's own where it samples, else 0.",
  },
  topK: {
    type: 'number',
    least: 0,
    most: MOST,
    whole: true,
    generationConfig: 'top_k',
    says: 'Draws from the K likeliest tokens; 0 is all.',
  },
  topP: {
    type: 'number',
    least: 0,
    most: 1,
    generationConfig: 'top_p',
    says: 'Draws from the likeliest tokens that have this probability together; 1 is all.',
  },
  seed: { type: 'number', least: 0, most: 2 ** 32 - 1, whole: true, says: 'The same seed draws the same tokens.' },
  stop: {
    type: 'texts',
    one: true,
    only: 'cli',
    generationConfig: 'stop_strings',
    says: 'Ends the answer before this text.',
  },
  ignoreEos: { type: 'flag', default: false, says: 'Goes on where the model would end its answer.' },
  overflow: {
    type: 'choice',
    of: ['error', 'shift'],
    default: 'error',
    says: 'What is done beyond the context: refuse with the numbers, or go on without the oldest tokens.',
  },
  speculate: {
    type: 'choice',
    of: ['off', 'prompt'],
    default: 'off',
    says: 'Tries several tokens at once, as they stood earlier in the conversation, for as long as that is faster.',
  },
  schema: {
    type: 'object',
    only: 'cli',
    file: true,
    default: null,
    says: 'The answer is JSON that is valid under this schema.',
  },
  pattern: {
    type: 'text',
    only: 'cli',
    default: null,
    says: 'The answer matches this regular expression.',
  },
  choice: { type: 'texts', only: 'cli', default: null, says: 'The answer is one of these texts.' },
  grammar: { type: 'text', only: 'cli', file: true, default: null, says: 'The answer follows this GBNF grammar.' },
  forced: {
    type: 'flag',
    only: 'code',
    default: true,
    says: 'Text that a constraint forces is taken at once.',
  },
  maxThinkingTokens: {
    type: 'number',
    least: 0,
    most: MOST,
    whole: true,
    default: null,
    says: 'Tokens that may be thought before the answer.',
  },
  templateOptions: {
    type: 'object',
    only: 'cli',
    flag: 'template-option',
    says: 'A variable of the chat template, such as enable_thinking=false; what is no JSON is text.',
  },
  continueFinalMessage: {
    type: 'flag',
    only: 'code',
    default: false,
    says: 'The last message is continued in its own turn, and not answered.',
  },
  parseSpecial: {
    type: 'flag',
    default: false,
    says: 'Names of control tokens in messages command, as in a plain prompt; otherwise what was typed is text.',
  },
} as const satisfies Specs<SamplingOptions>;
