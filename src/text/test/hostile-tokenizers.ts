/**
 * Hostile tokenizers: the small ones of the fixtures with parts, patterns, tokens and merges in the place of their own
 * that cost much, or that are none, and texts that are made for them.
 */
import { fixture, readJson } from '../../formats/test/files';
import { anything, type Hostile, large, type Random, randomFrom } from '../../formats/test/hostile';
import { createTokenizer } from '../tokenizer';

type JsonObject = { [key: string]: unknown };

const BASES = Object.values(readJson(fixture('tokenizer/parts.json')).bases) as JsonObject[];
const CONFIGS = [{}, { bos_token: '<s>', add_bos_token: true }, { eos_token: { content: '</s>' } }];

/** What patterns are made of. */
const ATOMS = ['a', 'b', ' ', '.', '\\s', '\\S', '\\p{L}', '\\p{N}', '[^a]', '[a-z]', '(?i:ab)', '\\b', '^', '$', ''];
const COUNTS = ['*', '+', '?', '*?', '+?', '*+', '{3}', '{1,3}', '{,9}', '{50}', '{0,1000}', '{9999999}', ''];

function pattern(random: Random, depth = 0): string {
  const parts = Array.from({ length: 1 + random.below(depth ? 3 : 12) }, () => {
    const inner = () => pattern(random, depth + 1);
    const atom =
      depth > 2 || random.below(3)
        ? random.pick(ATOMS)
        : random.pick([
            () => `(${inner()})`,
            () => `(?:${inner()}|${inner()})`,
            () => `(?=${inner()})`,
            () => `(?!${inner()})`,
            () => `(?<=${inner()})`,
            () => `(?<!${inner()})`,
            () => `(${inner()})\\1`,
            () => `(?>${inner()})`,
            () => '['.repeat(random.below(2000)),
            () => '('.repeat(random.below(2000)),
          ])();
    return atom + random.pick(COUNTS);
  });
  return parts.join('');
}

/** @param list where it stands: normalizers, pretokenizers, decoders */
function part(random: Random, list: string, depth = 0): unknown {
  const of = () => random.pick([{ Regex: pattern(random) }, { String: random.pick(['a', ' ', '', 'aa', '▁']) }]);
  const content = () => random.pick(['a', 'aa', '', '▁', 'a'.repeat(100), 'a'.repeat(3000), '$&$&', 'İ']);
  return random.pick<() => unknown>([
    () => ({ type: random.pick(['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase', 'Strip', 'ByteLevel', 'Fuse', 'Digits']) }),
    () => ({ type: 'Prepend', prepend: content() }),
    () => ({ type: 'Replace', pattern: of(), content: content() }),
    () => ({
      type: 'Split',
      pattern: of(),
      behavior: random.pick(['Isolated', 'Removed']),
      invert: random.pick([true, false]),
    }),
    () => ({
      type: 'Metaspace',
      replacement: random.pick(['▁', 'aa']),
      prepend_scheme: random.pick(['always', 'first']),
    }),
    () => ({ type: 'Strip', content: content(), start: random.below(1e9), stop: random.below(1e9) }),
    () => ({ type: 'ByteFallback' }),
    () => sequence(random, list, depth + 1),
    () => anything(random),
  ])();
}

function sequence(random: Random, list: string, depth = 0): JsonObject {
  const length = depth > 3 ? 0 : random.pick(depth ? [1, 2, 3] : [1, 2, 3, 5, 27, 40]);
  const same = random.below(2) === 0 ? part(random, list, depth) : null;
  return { type: 'Sequence', [list]: Array.from({ length }, () => same ?? part(random, list, depth)) };
}

function added(random: Random): unknown {
  const count = random.pick([1, 3, 1000, 1e5, 100_001]);
  const most = 5e6;
  const text = random.pick<(i: number) => string>([
    (i) => `<${i}>`,
    (i) => 'a'.repeat(1 + (i % 1024)),
    (i) => `${'a'.repeat(1000)}${i}`,
    () => 'a'.repeat(large(random)),
    () => ' ',
    (i) => String.fromCodePoint(1 + (i % 0x10ffff)),
  ]);
  const flags = { special: random.below(2) === 0, normalized: random.below(2) === 0, lstrip: true, rstrip: true };
  const tokens: unknown[] = [];
  for (let characters = 0; tokens.length < count && characters < most; ) {
    const content = text(tokens.length);
    characters += content.length;
    tokens.push({ id: 300 + tokens.length, content, ...flags });
  }
  return tokens;
}

/** Words twice as long as those before them, or all that differ in one letter, with their merges. */
function model(random: Random, base: JsonObject): JsonObject {
  const { vocab, merges, ...rest } = base.model as { vocab: Record<string, number>; merges: unknown[] };
  const more: Record<string, number> = { ...vocab };
  const pairs: unknown[] = [...merges];
  let id = Object.keys(vocab).length;
  const add = (a: string, b: string) => {
    more[a + b] ??= id++;
    pairs.push(random.below(2) ? [a, b] : `${a} ${b}`);
  };
  random.pick<() => void>([
    () => {
      for (let word = 'a', n = random.below(22); n > 0; n--, word += word) add(word, word);
    },
    () => {
      for (let word = 'a', n = random.below(2000); n > 0; n--, word += 'a') add(word, 'a');
    },
    () => {
      for (let i = 0; i < large(random) / 10; i++) add(String.fromCodePoint(97 + (i % 26)), `${i}`);
    },
    () => pairs.push(...Array.from({ length: 9 }, () => anything(random))),
    () => Object.assign(more, { [random.pick(['b', '__proto__', ''])]: anything(random) }),
    () =>
      Object.assign(rest, { [random.pick(['unk_token', 'end_of_word_suffix', 'ignore_merges'])]: anything(random) }),
  ])();
  return { ...rest, vocab: more, merges: pairs };
}

function tokenizerJson(random: Random): JsonObject {
  const base = random.pick(BASES);
  const json: JsonObject = { ...base };
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    random.pick<() => void>([
      () => Object.assign(json, { normalizer: random.pick([part, sequence])(random, 'normalizers') }),
      () => Object.assign(json, { pre_tokenizer: random.pick([part, sequence])(random, 'pretokenizers') }),
      () => Object.assign(json, { decoder: random.pick([part, sequence])(random, 'decoders') }),
      () => Object.assign(json, { added_tokens: random.pick([added, added, anything])(random) }),
      () => Object.assign(json, { model: model(random, base) }),
      () => Object.assign(json, { [random.pick(['model', 'post_processor', 'normalizer'])]: anything(random) }),
    ])();
  }
  return json;
}

function text(random: Random): string {
  const longest = 2e5;
  const piece = () =>
    random.pick(['a', 'b', ' ', 'ab', 'a b ', '\n', '=', 'é', '字', '😀', '\ud800', '\u0301', '<1>', '7']);
  const runs = Array.from({ length: 1 + random.below(4) }, () => {
    const one = piece();
    return one.repeat(Math.min(large(random), longest / one.length));
  });
  return runs.join('').slice(0, longest);
}

/** A tokenizer and a text of a seed. `take` makes it, encodes the text, decodes the ids; it returns what came of it. */
export function hostileTokenizer(seed: number): Hostile {
  const random = randomFrom(seed);
  const json = JSON.stringify(tokenizerJson(random));
  const config = random.pick(CONFIGS);
  const typed = text(random);
  const special = random.below(2) === 0;
  function take() {
    const tokenizer = createTokenizer(JSON.parse(json), config);
    const ids = tokenizer.encode(typed, { special, bos: true });
    return { tokenizer, ids, text: tokenizer.decode(ids.slice(0, 10_000), { skipSpecial: false }) };
  }
  const bytes = json.length + typed.length;
  return { said: `seed ${seed}`, bytes, take };
}
