/**
 * The commands: what each is for, what it takes, and what runs it. Flags and JSON are a contract: other programs call
 * it.
 */
import { EMBED_OPTIONS, RERANK_OPTIONS } from '../../options/reading';
import { SERVE_OPTIONS, type ServeOptions } from '../../options/serve';
import type { EmbedOptions, RerankOptions } from '../../protocol';
import { type Arguments, type Flags, flagsOf } from '../arguments';
import { bench } from './bench';
import { chat } from './chat';
import { embed } from './embed';
import { generate } from './generate';
import { inspect } from './inspect';
import { logits } from './logits';
import { models } from './models';
import { perplexity } from './perplexity';
import { plan } from './plan';
import { quantize } from './quantize';
import { rerank } from './rerank';
import { serve } from './serve';
import { detokenize, tokenize } from './tokenize';

export interface Command {
  run: (args: Arguments) => Promise<void>;
  /** one sentence */
  says: string;
  /** what is typed after its name */
  usage: string;
  /** likewise */
  example: string;
  flags: Flags;
  /** positionals at most */
  positionals: number;
  /** it takes adapters, the options of an answer, those of a model (which are checked in any case) */
  lora?: boolean;
  request?: boolean;
  engine?: boolean;
}

const IDS = { value: '1,2,3', says: 'Token ids; - reads them from standard input.' };
const HUB_MODEL = 'HuggingFaceTB/SmolLM2-135M-Instruct';

export const COMMANDS: Readonly<Record<string, Command>> = {
  generate: {
    run: generate,
    says: 'Gives one answer: to a prompt that is gone on from, to a question, or to token ids.',
    usage: 'MODEL (--prompt TEXT | --chat TEXT | --ids 1,2,3) [--max-new-tokens N] [--temperature T] …',
    example: `${HUB_MODEL} --chat "Why is the sky blue?" --max-new-tokens 64`,
    flags: {
      prompt: { value: 'TEXT', says: 'Goes on from this text; - reads it from standard input.' },
      chat: { value: 'TEXT', says: 'Answers this question, by the chat template; - reads it from standard input.' },
      ids: IDS,
    },
    positionals: 1,
    lora: true,
    request: true,
    engine: true,
  },
  chat: {
    run: chat,
    says: 'Talks at the terminal. Ctrl-C stops an answer; twice, Ctrl-D or /quit ends it.',
    usage: 'MODEL [--system TEXT] [--max-new-tokens N] …',
    example: `${HUB_MODEL} --system "Answer in one sentence."`,
    flags: { system: { value: 'TEXT', says: 'What the model is told before anything else.' } },
    positionals: 1,
    lora: true,
    request: true,
    engine: true,
  },
  serve: {
    run: serve,
    says: "Answers programs that speak OpenAI's or Anthropic's API, on this machine.",
    usage: '[MODEL] [--port N] [--parallel N] …',
    example: `${HUB_MODEL} --port 8080`,
    flags: flagsOf<ServeOptions>(SERVE_OPTIONS),
    positionals: 1,
    lora: true,
    engine: true,
  },
  embed: {
    run: embed,
    says: 'Prints a vector of each text in a file, as sentence-transformers makes them of the same model.',
    usage: 'MODEL FILE|- [--prompt NAME] [--dimensions N]',
    example: 'Qwen/Qwen3-Embedding-0.6B texts.txt --prompt query --json',
    flags: flagsOf<EmbedOptions>(EMBED_OPTIONS),
    positionals: 2,
    lora: true,
    engine: true,
  },
  rerank: {
    run: rerank,
    says: 'Prints how well documents answer queries, of a JSON array of { query, document }.',
    usage: 'MODEL FILE|- [--instruction TEXT]',
    example: 'Qwen/Qwen3-Reranker-0.6B pairs.json --json',
    flags: flagsOf<RerankOptions>(RERANK_OPTIONS),
    positionals: 2,
    lora: true,
    engine: true,
  },
  logits: {
    run: logits,
    says: 'Prints what the model expects after these token ids.',
    usage: 'MODEL --ids 1,2,3 [--all]',
    example: `${HUB_MODEL} --ids 1,2,3 --json`,
    flags: { ids: IDS, all: { says: 'Of every position, a row each; else of the last one.' } },
    positionals: 1,
    lora: true,
    engine: true,
  },
  tokenize: {
    run: tokenize,
    says: "Prints a text's token ids.",
    usage: 'MODEL --text TEXT [--special]',
    example: `${HUB_MODEL} --text "Hello there"`,
    flags: {
      text: { value: 'TEXT', says: 'The text; - reads it from standard input.' },
      special: { says: 'Special tokens that stand in the text are read as such.' },
    },
    positionals: 1,
  },
  detokenize: {
    run: detokenize,
    says: 'Prints the text of token ids.',
    usage: 'MODEL --ids 1,2,3',
    example: `${HUB_MODEL} --ids 19556,665`,
    flags: { ids: IDS },
    positionals: 1,
  },
  plan: {
    run: plan,
    says: 'Tells the memory that a request would take, from headers or from config.json alone.',
    usage: 'MODEL|config.json [--prompt-tokens N] [--max-new-tokens M]',
    example: `${HUB_MODEL} --prompt-tokens 1000 --max-new-tokens 256 --budget 300000000`,
    flags: {
      'prompt-tokens': { value: 'N', says: 'Tokens of the prompt.', default: '1' },
      'max-new-tokens': { value: 'N', says: 'Tokens of the answer.', default: '256' },
    },
    positionals: 1,
    engine: true,
  },
  bench: {
    run: bench,
    says: 'Measures speed and memory, with the likeliest tokens and no end of text.',
    usage: '(MODEL | --random config.json) [--prompt-tokens N | --ids 1,2,3] [--new-tokens M]',
    example: `${HUB_MODEL} --prompt-tokens 128 --new-tokens 64 --runs 3`,
    flags: {
      'prompt-tokens': { value: 'N', says: 'Tokens of the prompt.', default: '32' },
      'new-tokens': { value: 'N', says: 'Tokens of the answer.', default: '16' },
      runs: { value: 'N', says: 'How often; the median is printed.', default: '1' },
      profile: { says: 'Tells the time of each kernel too: needs a GPU with timestamps.' },
      random: { value: 'FILE', says: "Random weights in this config.json's geometry, in the place of MODEL." },
      ids: IDS,
    },
    positionals: 1,
    engine: true,
  },
  perplexity: {
    run: perplexity,
    says: 'Measures how well the model foretells a text, in whole windows of it.',
    usage: 'MODEL --file FILE [--window 1024] [--windows N]',
    example: `${HUB_MODEL} --file book.txt --windows 4`,
    flags: {
      file: { value: 'FILE', says: 'The text, in UTF-8; - reads it from standard input.' },
      window: { value: 'N', says: 'Tokens of a window.', default: '1024' },
      windows: { value: 'N', says: 'How many windows at most.', default: 'all' },
    },
    positionals: 1,
    engine: true,
  },
  quantize: {
    run: quantize,
    says: "Makes an NF4 checkpoint, with bitsandbytes' names, of one of 16 or 32 bits, in a new folder.",
    usage: 'IN OUT [--double-quant] [--keep NAME …]',
    example: './model-bf16 ./model-nf4 --double-quant',
    flags: {
      'double-quant': { says: 'Quantises the scales, too.' },
      keep: { value: 'TEXT', many: true, says: 'Parts of tensor names that stay as they are; lm_head does anyway.' },
    },
    positionals: 2,
  },
  inspect: {
    run: inspect,
    says: 'Tells what a checkpoint is, from its headers, and what of it cannot run here.',
    usage: 'MODEL',
    example: HUB_MODEL,
    flags: {},
    positionals: 1,
  },
  models: {
    run: models,
    says: 'Lists the models that are kept in the cache folder, checks them, or deletes them.',
    usage: '[--verify NAME|all | --delete NAME|all]',
    example: '--delete all',
    flags: {
      verify: { value: 'NAME', says: 'Compares what is kept with its digests; all is every model.' },
      delete: {
        value: 'NAME',
        says: 'Deletes a model, and the conversations saved with it; all is every model, and what was left of unknown ones.',
      },
    },
    positionals: 0,
  },
};
