/** Which attributes of a `<nibble-chat>` are its own, and what is said of others. */
import { describeUnknown, likelyName, OPTION_NAMES } from '../ui/options';

/** Those that are not options of the engine or of an answer. */
const OWN = ['model', 'system', 'heading', 'placeholder', 'starters'];
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

/** Named once a page, however many elements have it. */
const named = new Set<string>();

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
    if (!named.has(name)) console.warn(sentence);
    named.add(name);
  }
  return mistyped.join(' ');
}
