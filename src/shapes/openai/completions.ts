/** POST /completions: texts that are continued, as they stand. */
import type { Completion, CompletionChoice } from 'openai/resources/completions';
import type { FinishReason, GenerateOptions, GenerateResult, TextScore, TokenLogprob } from '../../index';
import { type AskedEngine, answersTo, piecesOf, Said, type Taken, takenBy } from './answers';
import { type Context, DONE, event, newId, noted, type Reply, usage } from './context';
import { refused } from './errors';
import type { Fields } from './fields';
import { countOf, refuseAll, samplingOf } from './sampling';

type Prompt = string | readonly number[];
type Logprobs = CompletionChoice.Logprobs;

/** OpenAI's own answers have null where nothing is known, which its types do not say. */
const UNKNOWN = null as unknown;

const finishOf = (finish: FinishReason): CompletionChoice['finish_reason'] => (finish === 'length' ? finish : 'stop');

const isIds = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.every((id) => Number.isInteger(id));

/**
 * Texts, or lists of token ids, that stand in a field; one alone counts as a list of one.
 * @throws ApiError 400 for what is neither
 */
export function promptsOf(fields: Fields, name: string): Prompt[] {
  const given = fields.any(name);
  const list = typeof given === 'string' || isIds(given) ? [given] : given;
  const isList = Array.isArray(list) && list.length > 0;
  if (isList && list.every((one) => typeof one === 'string' || isIds(one))) return list;
  return refused(fields.at(name), 'a text, a list of texts, a list of token ids, or a list of such lists');
}

/** Tokens in the form of this route, each with its place in the text. @param begin characters before the first */
function logprobsTold(tokens: readonly TokenLogprob[], begin: number): Logprobs {
  let offset = begin;
  const text_offset = tokens.map(({ text }) => {
    offset += text.length;
    return offset - text.length;
  });
  const alternatives = ({ text, logprob, top }: TokenLogprob) =>
    Object.fromEntries([...top, { text, logprob }].map((one) => [one.text, one.logprob]));
  return {
    text_offset,
    token_logprobs: tokens.map(({ logprob }) => logprob),
    tokens: tokens.map(({ text }) => text),
    top_logprobs: tokens.map(alternatives),
  };
}

/** How likely a prompt is, in the same form: what else might have stood there is not known. */
async function promptLogprobs(engine: AskedEngine, text: string, { ids, logProbs }: TextScore): Promise<Logprobs> {
  const tokens = await Promise.all(ids.map((id) => engine.detokenize([id])));
  // a token that the tokenizer puts before the text is none of its characters
  const before = ids.length > 0 && !text.startsWith(tokens[0]) ? 1 : 0;
  let offset = 0;
  const text_offset = tokens.map((token, place) => {
    const at = Math.min(offset, text.length);
    if (place >= before) offset += token.length;
    return at;
  });
  const token_logprobs = [UNKNOWN as number, ...logProbs].slice(0, ids.length);
  const top_logprobs = tokens.map(() => UNKNOWN as Record<string, number>);
  return { text_offset, token_logprobs, tokens, top_logprobs };
}

const joined = (first: Logprobs, second: Logprobs): Logprobs => ({
  text_offset: [...first.text_offset!, ...second.text_offset!],
  token_logprobs: [...first.token_logprobs!, ...second.token_logprobs!],
  tokens: [...first.tokens!, ...second.tokens!],
  top_logprobs: [...first.top_logprobs!, ...second.top_logprobs!],
});

/** What is told again of a prompt, before its answer. */
interface Echo {
  text: string;
  logprobs: Logprobs | null;
  /** tokens of the prompt */
  tokens: number;
}

async function echoOf(engine: AskedEngine, prompt: Prompt, scored: boolean, signal: AbortSignal): Promise<Echo> {
  const text = typeof prompt === 'string' ? prompt : await engine.detokenize(prompt);
  if (scored) {
    const [score] = await engine.score([prompt], { signal });
    return { text, logprobs: await promptLogprobs(engine, text, score), tokens: score.ids.length };
  }
  const ids = typeof prompt === 'string' ? await engine.tokenize(prompt, { special: true }) : prompt;
  return { text, logprobs: null, tokens: ids.length };
}

/** @returns what is answered, when all is said, or the events of its stream */
export async function completions(context: Context, fields: Fields): Promise<Reply> {
  const { engine, model, created, signal } = context;
  refuseAll(fields, { suffix: 'texts are continued at their end' });
  const prompts = promptsOf(fields, 'prompt');
  const limit = fields.whole('max_tokens', 0);
  const wanted = fields.whole('logprobs', 0, 20);
  const options: GenerateOptions = {
    ...samplingOf(fields),
    ...(limit && { maxNewTokens: limit }),
    ...(wanted !== undefined && { logprobs: wanted }),
    signal,
  };
  const echo = fields.flag('echo') ?? false;
  if (limit === 0 && !echo) refused(fields.at('max_tokens'), 'at least 1, unless echo is true');
  const n = countOf(fields);
  const best = fields.whole('best_of', 1, 128) ?? n;
  if (best !== n) fields.unheeded('best_of');
  const stream = fields.flag('stream') ?? false;
  const withUsage = fields.inner('stream_options')?.flag('include_usage') ?? false;
  const head = { id: newId('cmpl-'), object: 'text_completion', created, model } as const;
  const scored = wanted !== undefined;
  const echoes = async () => {
    if (!echo) return null;
    const all: Echo[] = [];
    for (const prompt of prompts) all.push(await echoOf(engine, prompt, scored, signal));
    return all;
  };
  const answers = () => piecesOf(limit === 0 ? [] : answersTo(context, prompts, n, options));
  const choices = prompts.length * n;
  const taken = async (results: readonly GenerateResult[], echoed: Echo[] | null): Promise<Taken> => {
    if (limit !== 0) return takenBy(engine, results, n);
    const prompt = echoed!.reduce((sum, { tokens }) => sum + tokens, 0);
    return { prompt, cached: 0, answer: 0, reasoning: 0 };
  };

  async function whole(): Promise<Completion> {
    const echoed = await echoes();
    const saids = Array.from({ length: choices }, () => new Said());
    const results: GenerateResult[] = [];
    for await (const { index, part, result } of answers()) {
      if (part) saids[index].take(part);
      else results[index] = result;
    }
    const all = saids.map((said, index): CompletionChoice => {
      const before = echoed?.[Math.floor(index / n)];
      const own = scored ? logprobsTold(said.logprobs, before?.text.length ?? 0) : null;
      return {
        index,
        text: (before?.text ?? '') + said.text,
        logprobs: own && before?.logprobs ? joined(before.logprobs, own) : own,
        finish_reason: finishOf(results[index]?.finish ?? 'length'),
      };
    });
    return { ...head, choices: all, usage: usage(await taken(results, echoed)), ...noted(results) };
  }

  async function* events(): AsyncGenerator<string, void> {
    const chunk = (index: number, text: string, logprobs: Logprobs | null, ended?: GenerateResult) => {
      const finish_reason = ended ? finishOf(ended.finish) : (UNKNOWN as CompletionChoice['finish_reason']);
      const choice: CompletionChoice = { index, text, logprobs, finish_reason };
      return event({ ...head, choices: [choice], ...(withUsage && { usage: null }), ...(ended && noted([ended])) });
    };
    const echoed = await echoes();
    const said = Array.from({ length: choices }, (_, index) => echoed?.[Math.floor(index / n)].text.length ?? 0);
    const begun = new Set<number>();
    const begin = function* (index: number) {
      const before = begun.has(index) ? null : echoed?.[Math.floor(index / n)];
      begun.add(index);
      if (before) yield chunk(index, before.text, before.logprobs);
    };
    const results: GenerateResult[] = [];
    for await (const { index, part, result } of answers()) {
      yield* begin(index);
      if (result) {
        results[index] = result;
        yield chunk(index, '', null, result);
      } else {
        const logprobs = scored ? logprobsTold(part.logprobs ?? [], said[index]) : null;
        said[index] += part.text.length;
        yield chunk(index, part.text, logprobs);
      }
    }
    if (limit === 0) {
      for (let index = 0; index < choices; index++) {
        yield* begin(index);
        yield chunk(index, '', null, { finish: 'length', note: null } as GenerateResult);
      }
    }
    if (withUsage) yield event({ ...head, choices: [], usage: usage(await taken(results, echoed)) });
    yield DONE;
  }

  return stream ? events() : whole();
}
