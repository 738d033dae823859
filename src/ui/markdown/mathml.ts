/**
 * Formulas as MathML. temml makes a tree of what a formula says; of that only what stands below becomes elements, made
 * one by one: no markup is parsed, nothing leads anywhere or is fetched, and nothing is larger than a formula is. What
 * temml does not know, and what is not allowed, stays as it was written.
 */
import temml from 'temml';
import { inTurn } from './in-turn';

/** A node of temml's tree: of MathML, text, or, without a type, several. */
interface Node {
  type?: string;
  text?: string;
  href?: string;
  attributes?: Record<string, unknown>;
  classes?: string[];
  style?: Record<string, unknown>;
  children?: Node[];
}

const words = (text: string) => new Set(text.split(' '));

/** Elements of MathML 3 and MathML Core that hold nothing but a formula. */
const ELEMENTS = words(
  'math mrow mi mn mo ms mtext mspace mfrac msqrt mroot mstyle mpadded mphantom menclose msub msup msubsup munder mover munderover mmultiscripts mprescripts none mtable mtr mtd',
);
const ATTRIBUTES = words(
  'accent accentunder columnalign columnspan depth display displaystyle fence form height largeop linethickness lspace mathbackground mathcolor mathsize mathvariant maxsize minsize movablelimits notation rowspacing rowspan rspace scriptlevel separator stretchy symmetric voffset width',
);
const STYLES =
  /^(textAlign|width|height|padding(Top|Bottom|Left|Right)?|border(Top|Bottom|Left|Right)?|color|math-?[dD]epth|font-?([wW]eight|[sS]tyle)|display|marginLeft|justifyContent|transform)$/;

/** Nodes and levels of a formula that somebody reads; the layout of many takes far longer than reading them. */
const MOST_NODES = 1500;
const DEEPEST = 24;

/** How often a macro may be expanded: temml's own, such as \pmod, for what defines others is not read. */
const MOST_EXPANSIONS = 200;
const DEFINES = /\\(?:[egx]?def|let|futurelet|(?:re)?newcommand|providecommand|newenvironment|global|long)(?![a-zA-Z])/;

/** Sizes in it, in em or less: nothing may lie over what is not its own. */
const SIZE = /(?<![#\w.])([-+]?[\d.]+)(em|ex|ch|rem|ic|cm|in|pc|mm|pt|bp|px|q|sp|vw|vh|mu|dd|cc|nd|nc)?/gi;
const SMALL_UNITS = /^(mm|pt|bp|px|q|sp|mu|dd|nd)$/i;

function checkSizes(value: string): void {
  for (const [, number, unit] of value.matchAll(SIZE)) {
    if (!unit) continue;
    const em = Number(number) / (SMALL_UNITS.test(unit) ? 10 : 1);
    if (!(em >= -2 && em <= 20)) throw new RangeError(`${value} is no size in a formula.`);
  }
}

const MATHML = 'http://www.w3.org/1998/Math/MathML';

/** @throws RangeError for what is not allowed, or too much */
function elementOf(tree: Node): Element {
  let left = MOST_NODES;
  const make = (node: Node, depth: number): globalThis.Node => {
    const { type, text, attributes = {}, classes = [], style = {}, children = [] } = node;
    if (left-- === 0 || depth > DEEPEST) throw new RangeError('This formula is too large.');
    if (!type && text !== undefined) return document.createTextNode(text);
    if (type ? !ELEMENTS.has(type) : 'href' in node) throw new RangeError('This does not belong in a formula.');
    const inside = children.map((child) => make(child, depth + 1));
    const element = type ? document.createElementNS(MATHML, type) : document.createDocumentFragment();
    element.append(...inside);
    if (!(element instanceof MathMLElement)) return element;
    for (const [name, value] of Object.entries(attributes)) {
      if (!ATTRIBUTES.has(name)) continue;
      checkSizes(`${value}`);
      element.setAttribute(name, `${value}`);
    }
    const named = classes.filter((name) => /^[\w-]+$/.test(name));
    if (named.length > 0) element.setAttribute('class', named.join(' '));
    for (const [name, value] of Object.entries(style)) {
      if (!STYLES.test(name)) continue;
      checkSizes(`${value}`);
      // as a property: a policy without inline styles allows it
      const property = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      element.style.setProperty(property, `${value}`);
    }
    return element;
  };
  return make(tree, 0) as Element;
}

/** Drawn ones, by what they say; null: as it was written. The oldest go first. */
const drawn = new Map<string, Element | null>();
const MOST_DRAWN = 500;

/** @returns null for a formula that is broken, or not one that is drawn */
export function draw(text: string, display: boolean): Element | null {
  if (DEFINES.test(text)) return null;
  try {
    const options = { displayMode: display, throwOnError: true, maxExpand: MOST_EXPANSIONS };
    return elementOf(temml.__renderToMathMLTree(text, { ...options, maxSize: [20, 20] }) as Node);
  } catch {
    return null;
  }
}

/**
 * @param show is called later, unless it is to stay as it was written
 * @returns what was drawn before
 */
export function mathml(text: string, display: boolean, show: (element: Element) => void): Element | undefined {
  const key = `${display} ${text}`;
  const copy = () => drawn.get(key)?.cloneNode(true) as Element | undefined;
  if (drawn.has(key)) return copy();
  inTurn(() => {
    if (!drawn.has(key)) {
      drawn.set(key, draw(text, display));
      if (drawn.size > MOST_DRAWN) drawn.delete(drawn.keys().next().value!);
    }
    const element = copy();
    if (element) show(element);
  });
  return undefined;
}
