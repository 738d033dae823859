/**
 * Which attributes of a `<nibble-chat>` are its own, and what is said of others; what their values are, and what they
 * count for where they are nonsense.
 */
import { asNibbleError, NibbleError } from '../errors';
import { shown } from '../options/spec';
import type { ChatMessage, EngineOptions, SamplingOptions } from '../protocol';
import { describeUnknown, likelyName, OPTION_NAMES, parseOptions } from '../ui/options';
import { EN } from '../ui/words/en';
import { EN_WIDGET } from '../ui/words/en-widget';
import type { NibbleChatElement } from './element';

const PHRASES = Object.keys({ ...EN_WIDGET, ...EN });

/** Those that are not options of the engine or of an answer. */
export const OWN = [
  'model',
  'system',
  'heading',
  'placeholder',
  'starters',
  'launcher',
  'greeting',
  'keep',
  'color-scheme',
];
const KNOWN = [...OWN, ...OPTION_NAMES];

/** What any HTML element may carry. */
const GLOBAL =
  /^(accesskey|anchor|autocapitalize|autocorrect|autofocus|class|contenteditable|dir|draggable|elementtiming|enterkeyhint|exportparts|heading(offset|reset)|hidden|id|inert|inputmode|is|item(id|prop|ref|scope|type)|lang|nonce|part|popover|role|slot|spellcheck|style|tabindex|title|translate|virtualkeyboardpolicy|writingsuggestions|xmlns|(data|aria)-.*|on.*)$/;

/**
 * What frameworks put on any element. By signs that no name of ours has: Angular's _ngcontent-x and [title], Alpine's
 * and Vue's @click and :class, Livewire's wire:id. By prefixes: Astro's astro-cid-x, htmx's hx-boost, Vue's v-cloak.
 */
const SIGNS = /^_|[^\w-]/;
const PREFIXES = /^((astro|c|hx|q|s|sc|svelte|up|v|x)-|js|ng)/;

/** Said once a page, however many elements have it. */
const said = new Set<string>();

/** Says something to whoever builds the page. */
export function warn(sentence: string): void {
  if (!said.has(sentence)) console.warn(sentence);
  said.add(sentence);
}

/**
 * Says in the console which attributes are passed over, but for those that are plainly for somebody else.
 * @returns a sentence for the person who looks at the page, if one of them was meant for this element
 */
export function checkAttributes(names: readonly string[]): string {
  const mistyped: string[] = [];
  for (const name of names) {
    if (KNOWN.includes(name) || GLOBAL.test(name) || SIGNS.test(name)) continue;
    const isMeant = likelyName(name, KNOWN) !== undefined;
    if (!isMeant && PREFIXES.test(name)) continue;
    const sentence = describeUnknown(`<nibble-chat> knows no attribute "${name}"`, name, KNOWN);
    if (isMeant) mistyped.push(sentence);
    warn(sentence);
  }
  return mistyped.join(' ');
}

/** A value that an attribute cannot have, to whoever builds the page. */
const nonsense = (attribute: string, value: unknown, must: string) =>
  warn(`<nibble-chat>: ${attribute} is ${shown(value)}; it must be ${must}. Its default is used.`);

/** A value that a property cannot have. */
export const refused = (property: string, value: unknown, must: string): NibbleError =>
  new NibbleError('invalid-option', `${property} is ${shown(value)}; it must be ${must}.`, { option: property });

/** Whether a page's message is one. */
export function isMessage(message: unknown): message is ChatMessage {
  const { role, content } = (message ?? {}) as Partial<ChatMessage>;
  return (role === 'user' || role === 'assistant') && typeof content === 'string';
}

/** Options by attributes. What cannot be is named in the console, and left out. */
export function readOptions(attributes: Iterable<readonly [name: string, value: string]>): {
  engine: EngineOptions;
  sampling: SamplingOptions;
} {
  const read: ReturnType<typeof readOptions> = { engine: {}, sampling: {} };
  for (const attribute of attributes) {
    try {
      const { engine, sampling } = parseOptions([attribute]);
      Object.assign(read.engine, engine);
      Object.assign(read.sampling, sampling);
    } catch (thrown) {
      warn(`<nibble-chat>: ${asNibbleError(thrown).message} Its default is used.`);
    }
  }
  return read;
}

/** Corners that a launcher may be in. */
export const CORNERS = ['bottom-right', 'bottom-left', 'top-right', 'top-left'] as const;
export type Corner = (typeof CORNERS)[number];

/** One of several words; '' where nothing is said, or none of them. A framework may set a property to anything. */
function word<Word extends string>(attribute: string, value: unknown, words: readonly Word[]): Word | '' {
  const given = typeof value === 'string' ? value.trim().toLowerCase() : (value ?? '');
  if (words.includes(given as Word)) return given as Word;
  if (given !== '') nonsense(attribute, value, `one of ${words.join(', ')}`);
  return '';
}

export const readCorner = (value: unknown): Corner | '' => word('launcher', value, CORNERS);
export const readScheme = (value: unknown): 'light' | 'dark' | '' => word('color-scheme', value, ['light', 'dark']);

/** The name of a kept conversation; '' where it is not to be kept. */
export function readKeep(value: unknown): string {
  if (value === '' || value === null || value === undefined) return '';
  if (typeof value === 'string' && /^[\w.-]{1,64}$/.test(value)) return value;
  nonsense('keep', value, 'a name of up to 64 letters, digits, _, - and dots');
  return '';
}

/** BCP 47; '' where nothing is said. */
export function readLanguage(value: string): string {
  try {
    return Intl.getCanonicalLocales(value || [])[0] ?? '';
  } catch {
    nonsense('lang', value, 'a language, such as de or zh-Hans');
    return '';
  }
}

/** Phrases by name. What it does not know is named in the console, and left out. */
export function readStrings(value: unknown): NibbleChatElement['strings'] {
  if (typeof (value ?? {}) !== 'object' || Array.isArray(value)) {
    nonsense('strings', value, 'an object: phrases by their names');
    return {};
  }
  const strings: Record<string, NibbleChatElement['strings'][string]> = Object.create(null);
  for (const [name, phrase] of Object.entries(value ?? {})) {
    if (!PHRASES.includes(name)) warn(describeUnknown(`<nibble-chat>: strings has no phrase "${name}"`, name, PHRASES));
    else if (typeof phrase === 'string' || typeof phrase?.other === 'string')
      strings[name] = phrase as NibbleChatElement['strings'][string];
    else nonsense(`strings.${name}`, phrase, 'a text, or an object of plural forms with one for "other"');
  }
  return strings;
}

/** A text property, which a framework may have set to anything. */
export const readText = (value: unknown): string => (value === null || value === undefined ? '' : String(value));

/** One a line; a framework may give a list. */
export const readLines = (value: unknown): string[] =>
  [value ?? '']
    .flat()
    .join('\n')
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
