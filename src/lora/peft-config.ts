/** What an adapter_config.json of PEFT asks for, checked: what is not understood is refused by name. */
import { NibbleError } from '../errors';
import { isObject, type JsonObject } from '../formats/json';

export const CONFIG = 'adapter_config.json';

export const broken = (what: string, details: NibbleError['details'] = {}): NibbleError =>
  new NibbleError('corrupt-checkpoint', `${what}. Get the adapter again.`, details);
export const unsupported = (what: string, advice: string, details: NibbleError['details'] = {}): NibbleError =>
  new NibbleError('unsupported-architecture', `${what}. ${advice}`, details);

/** What PEFT has and Nibble has not. Everything else in a config describes training, or is checked below. */
const UNSUPPORTED = [
  'layer_replication',
  'alora_invocation_tokens',
  'target_parameters',
  'fan_in_fan_out',
  'use_qalora',
  'use_bdlora',
  'velora_config',
  'arrow_config',
  'kasa_config',
  'monteclora_config',
  'megatron_config',
];
/** Ways to begin that leave the base as it was; PiSSA, OLoRA, LoftQ and their like train on an altered one. */
const INITS = [true, false, null, undefined, 'gaussian', 'eva', 'orthogonal'];

export interface Config {
  dora: boolean;
  loraBias: boolean;
  bias: 'none' | 'all' | 'lora_only';
  /** whether a module is in modules_to_save */
  isSaved(path: string): boolean;
  /** ensure_weight_tying */
  tying: boolean;
  /** trainable_token_indices of a module */
  tokens(path: string): unknown;
  rank(path: string): number;
  scaling(path: string, rank: number): number;
}

const isEmpty = (value: unknown): boolean =>
  !value || (Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0);

export function parseConfig(config: JsonObject): Config {
  const { peft_type: type, init_lora_weights: init, bias = 'none' } = config;
  if (type !== 'LORA') {
    throw unsupported(`The adapter's peft_type is ${JSON.stringify(type)}`, 'Only LORA is supported.', {
      field: 'peft_type',
    });
  }
  for (const field of UNSUPPORTED) {
    if (isEmpty(config[field])) continue;
    const value = JSON.stringify(config[field]).slice(0, 100);
    throw unsupported(`The adapter uses ${field} (${value})`, 'Merge it into its base with PEFT first.', { field });
  }
  if (!INITS.includes(init as never)) {
    throw unsupported(
      `The adapter was begun with init_lora_weights = ${JSON.stringify(init)}, which changes the base too`,
      'Convert it with PEFT (save_pretrained with path_initial_model_for_weight_conversion).',
      { field: 'init_lora_weights' },
    );
  }
  if (bias !== 'none' && bias !== 'all' && bias !== 'lora_only') throw badField('bias', bias, 'none, all or lora_only');
  const dora = truth(config, 'use_dora');
  const loraBias = truth(config, 'lora_bias');
  if (dora && loraBias) throw broken('The adapter has both use_dora and lora_bias, which PEFT does not know');
  const stabilised = truth(config, 'use_rslora');
  const ranks = pattern(config, 'rank_pattern', 'r', (value) => Number.isInteger(value) && value > 0);
  const alphas = pattern(config, 'alpha_pattern', 'lora_alpha', Number.isFinite);
  const saved = config.modules_to_save ?? [];
  if (!Array.isArray(saved)) throw badField('modules_to_save', saved, 'a list');
  return {
    dora,
    loraBias,
    bias,
    isSaved: (path) => saved.some((end) => typeof end === 'string' && path.endsWith(end)),
    tying: truth(config, 'ensure_weight_tying'),
    tokens(path) {
      const indices = config.trainable_token_indices;
      // a list is of the embedding
      return isObject(indices) ? Object.entries(indices).find(([end]) => path.endsWith(end))?.[1] : indices;
    },
    rank: ranks,
    scaling: (path, rank) => alphas(path) / (stabilised ? Math.sqrt(rank) : rank),
  };
}

export function badField(field: string, value: unknown, wanted: string): NibbleError {
  const found = value === undefined ? 'missing' : JSON.stringify(value).slice(0, 100);
  return broken(`${CONFIG}: ${field} must be ${wanted}, but is ${found}`, { path: CONFIG, field });
}

function truth(config: JsonObject, field: string): boolean {
  const value = config[field] ?? false;
  if (typeof value !== 'boolean') throw badField(field, value, 'true or false');
  return value;
}

/**
 * A number by module: the first key of `patterns`, in order, that matches the end of its path; else `fallback`'s (8).
 */
function pattern(
  config: JsonObject,
  patterns: 'rank_pattern' | 'alpha_pattern',
  fallback: 'r' | 'lora_alpha',
  good: (value: number) => boolean,
): (path: string) => number {
  const number = (field: string, value: unknown) => {
    if (typeof value === 'number' && good(value)) return value;
    throw badField(field, value, 'a number that suits');
  };
  const all = number(fallback, config[fallback] ?? 8);
  const table = config[patterns] ?? {};
  if (!isObject(table)) throw badField(patterns, table, 'an object');
  const rules = Object.entries(table).map(([key, value]) => ({
    expression: expression(patterns, key),
    value: number(`${patterns}[${JSON.stringify(key)}]`, value),
  }));
  return (path) => rules.find((rule) => rule.expression.test(path))?.value ?? all;
}

/** PEFT's keys are regular expressions, from a stranger: those that could run for ever are refused. */
function expression(field: string, key: string): RegExp {
  const quantifiers = key.match(/(?<!\\)[*+{]/g)?.length ?? 0;
  if (key.length > 300 || quantifiers > 3 || /\)[*+{]/.test(key)) {
    throw badField(`a key of ${field}`, key, 'a simple expression');
  }
  try {
    return new RegExp(`^(?:.*\\.)?(?:${key})$`);
  } catch {
    throw badField(`a key of ${field}`, key, 'a regular expression');
  }
}
