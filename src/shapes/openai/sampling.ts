/** What requests of all kinds say about how an answer is made, in the engine's words. */
import type { GenerateOptions } from '../../index';
import { refused, unsupported } from './errors';
import type { Fields } from './fields';

/** What a request leaves out stays out: the engine decides. */
type Options = GenerateOptions;

/**
 * Names that other servers take beside OpenAI's own (vLLM, SGLang, llama-server), and clients send as `extra_body`.
 */
const MORE_NUMBERS = {
  top_k: 'topK',
  min_p: 'minP',
  typical_p: 'typicalP',
  repetition_penalty: 'repetitionPenalty',
  min_tokens: 'minTokens',
} as const;

/** Those without a value: {} keeps them out of what is checked by name. */
const said = (options: Options): Options =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));

/** OpenAI's seeds are of 64 bits and may be below 0; the engine's have 32. */
function seedOf(fields: Fields): number | undefined {
  const seed = fields.whole('seed', -(2 ** 63), 2 ** 63);
  return seed === undefined ? undefined : ((seed % 2 ** 32) + 2 ** 32) % 2 ** 32;
}

/** A text or a list of them, as requests have it. */
function stopOf(fields: Fields): string[] | undefined {
  const stop = fields.any('stop');
  const list = typeof stop === 'string' ? [stop] : stop;
  if (list === undefined) return undefined;
  const isTexts = Array.isArray(list) && list.every((text) => typeof text === 'string' && text !== '');
  return isTexts ? list : refused(fields.at('stop'), 'a text or a list of texts, none of them empty');
}

/** What /chat/completions and /completions share. */
export function samplingOf(fields: Fields): Options {
  const more = Object.entries(MORE_NUMBERS).map(([name, option]) => [option, fields.number(name)]);
  return said({
    temperature: fields.number('temperature'),
    topP: fields.number('top_p'),
    presencePenalty: fields.number('presence_penalty'),
    frequencyPenalty: fields.number('frequency_penalty'),
    logitBias: fields.json('logit_bias') as Options['logitBias'],
    seed: seedOf(fields),
    stop: stopOf(fields),
    ignoreEos: fields.flag('ignore_eos'),
    ...Object.fromEntries(more),
  });
}

/** What /responses takes of it. */
export function responseSamplingOf(fields: Fields): Options {
  const truncation = fields.text('truncation');
  return said({
    temperature: fields.number('temperature'),
    topP: fields.number('top_p'),
    maxNewTokens: fields.whole('max_output_tokens', 1),
    overflow: truncation === 'auto' ? 'shift' : undefined,
  });
}

/** How many answers to one prompt. */
export const countOf = (fields: Fields): number => fields.whole('n', 1, 128) ?? 1;

/** Log-probabilities, as /chat/completions and /responses ask for them. @param asked whether they are wanted at all */
export function logprobsOf(fields: Fields, asked: boolean): Options {
  const top = fields.whole('top_logprobs', 0, 20);
  if (top && !asked) refused(fields.at('top_logprobs'), 'left out unless log-probabilities are asked for');
  return asked ? { logprobs: top ?? true } : {};
}

/**
 * What a template is told: variables by the name that vLLM, SGLang and llama-server have for them, and how much is to
 * be thought, which templates that think know as `enable_thinking`.
 */
export function templateOf(fields: Fields, effort: string | undefined): Options {
  const given = fields.json('chat_template_kwargs');
  const thought = effort && { reasoning_effort: effort, ...(effort === 'none' && { enable_thinking: false }) };
  return given || thought ? { templateOptions: { ...thought, ...given } } : {};
}

/**
 * The form that an answer is held to: under `json_schema`, or beside its type in /responses.
 * @throws ApiError 400 for one that there is not
 */
export function formatOf(format: Fields | undefined): Options {
  const type = format?.text('type');
  if (!format || type === 'text') return {};
  if (type === 'json_object') return { schema: { type: 'object' } };
  if (type !== 'json_schema') return refused(format.at('type'), 'text, json_object or json_schema');
  const own = 'json_schema' in format.object ? format.inner('json_schema')! : format;
  // what the schema is called and is for; held to it is every answer, strict or not
  for (const name of ['name', 'description', 'strict']) own.any(name);
  const schema = own.json('schema');
  return schema ? { schema } : refused(own.at('schema'), 'a JSON Schema');
}

/** @throws ApiError 400 where one of these says something */
export function refuseAll(fields: Fields, names: Readonly<Record<string, string>>): void {
  for (const [name, why] of Object.entries(names)) {
    const value = fields.any(name);
    if (value !== undefined && value !== false) unsupported(fields.at(name), why);
  }
}
