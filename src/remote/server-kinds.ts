/**
 * Which options of an answer a kind of server heeds beyond OpenAI's, by the field that it reads. Kinds are told by
 * `owned_by` in /models. Sources, read on 2026-11-30: vllm/entrypoints/openai/chat_completion/protocol.py, SGLang's
 * srt/entrypoints/openai/protocol.py, llama.cpp's tools/server/README.md, docs.ollama.com/api/openai-compatibility.
 */
import type { SamplingOptions } from '../protocol';

type Fields = Partial<Record<keyof SamplingOptions, string>>;

/** What vLLM and SGLang share, and what is tried where nothing is known. */
const COMMON: Fields = {
  topK: 'top_k',
  minP: 'min_p',
  repetitionPenalty: 'repetition_penalty',
  minTokens: 'min_tokens',
  ignoreEos: 'ignore_eos',
  templateOptions: 'chat_template_kwargs',
};

const LLAMA: Fields = {
  topK: 'top_k',
  minP: 'min_p',
  typicalP: 'typical_p',
  topNSigma: 'top_n_sigma',
  dynatempRange: 'dynatemp_range',
  dynatempExponent: 'dynatemp_exponent',
  repetitionPenalty: 'repeat_penalty',
  repeatLastN: 'repeat_last_n',
  xtcProbability: 'xtc_probability',
  xtcThreshold: 'xtc_threshold',
  dryMultiplier: 'dry_multiplier',
  dryBase: 'dry_base',
  dryAllowedLength: 'dry_allowed_length',
  dryLastN: 'dry_penalty_last_n',
  dryBreakers: 'dry_sequence_breakers',
  ignoreEos: 'ignore_eos',
  templateOptions: 'chat_template_kwargs',
};

export interface ServerKind {
  /** as a sentence names it */
  name: string;
  fields: Fields;
  /** those where 0 asks for all have another number for that */
  all: Partial<Record<keyof SamplingOptions, number>>;
  /** body of an answer under a constraint of this kind, where there are such */
  constraints: Partial<Record<'pattern' | 'choice' | 'grammar', (value: unknown) => object>>;
  /** how the last message is continued; absent: it is not known how */
  continues?: object;
}

const CONTINUES = { continue_final_message: true, add_generation_prompt: false };
const structured = (kind: string) => (value: unknown) => ({ structured_outputs: { [kind]: value } });

const KINDS: Readonly<Record<string, ServerKind>> = {
  vllm: {
    name: 'vLLM',
    fields: { ...COMMON, maxThinkingTokens: 'thinking_token_budget' },
    all: { topK: -1 },
    constraints: { pattern: structured('regex'), choice: structured('choice'), grammar: structured('grammar') },
    continues: CONTINUES,
  },
  sglang: {
    name: 'SGLang',
    fields: COMMON,
    all: { topK: -1 },
    constraints: { pattern: (regex) => ({ regex }), grammar: (ebnf) => ({ ebnf }) },
    continues: CONTINUES,
  },
  llamacpp: {
    name: 'llama-server',
    fields: LLAMA,
    all: { repeatLastN: -1, dryLastN: -1 },
    constraints: { grammar: (grammar) => ({ grammar }) },
    // by itself, where that is an assistant's
    continues: {},
  },
  nibble: {
    name: 'nibble',
    fields: { ...COMMON, typicalP: 'typical_p' },
    all: {},
    constraints: {},
    continues: CONTINUES,
  },
  library: { name: 'Ollama', fields: {}, all: {}, constraints: {} },
};

/** One that nothing is known of: what many heed is tried. */
export const SOME_SERVER: ServerKind = { name: 'this server', fields: COMMON, all: { topK: -1 }, constraints: {} };

/** @param owner `owned_by` of a model in /models */
export const kindOf = (owner: unknown): ServerKind =>
  (typeof owner === 'string' && Object.hasOwn(KINDS, owner) && KINDS[owner]) || SOME_SERVER;
