/**
 * What rendering may cost. A template comes from a stranger and cannot be interrupted, so everything that it reads and
 * writes is counted: whoever walks over values or characters says so here, and what goes over a limit is an error.
 * Rendering is synchronous, so one account is open at a time.
 */

/** A template that is not Jinja, or that does what Python would refuse; `line` is where, 0 while nobody knows. */
export class TemplateError extends Error {
  line = 0;
}

/** The template's own raise_exception. */
export class Refusal extends Error {}

export const LIMITS = {
  /** nodes evaluated, turns of loops, and characters read or made, CHARACTERS_A_STEP at a time: a second or two */
  steps: 1_000_000,
  /** characters of a text that a template makes, the rendered prompt among them: two million tokens and more */
  characters: 8_000_000,
  /** expressions within expressions, blocks within blocks, calls within calls: far from the end of the stack */
  nesting: 250,
};

const CHARACTERS_A_STEP = 256;

let used = 0;
let depth = 0;

/** What the last run took, if it ended well or not. */
export const stepsTaken = (): number => used;

/** Opens the account for one run. */
export function measured<T>(run: () => T): T {
  used = depth = 0;
  try {
    return run();
  } catch (thrown) {
    // values that hold each other a thousand deep: what walks over them has no count of its own
    throw thrown instanceof RangeError ? new TemplateError('it nests too deeply, or is too large') : thrown;
  }
}

export function spend(steps: number): void {
  if (!(used + steps <= LIMITS.steps)) throw new TemplateError(`it takes more than ${LIMITS.steps} steps`);
  used += steps;
}

/** Pays for reading characters. */
export const read = (characters: number): void => spend(characters / CHARACTERS_A_STEP);

/** Pays for a search: what is sought is compared at many places, at worst at all. */
export const scan = (text: string, sought: string): void => read(text.length * (2 + sought.length / 8));

/** Pays for so many items of a list, or pieces of a text, that are made or walked over. */
export const visit = (items: number): void => spend(items / 4);

/** Pays for arithmetic and digits whose work grows with the square of an int's length. */
export const long = (bits: number): void => spend((bits / 1000) ** 2 / 2);

/** Puts something in the place of each match, and pays for each. */
export const replaceEach = (text: string, pattern: RegExp, by: (match: string) => string): string => {
  read(text.length);
  return text.replace(pattern, (match) => {
    spend(1 / 2);
    return by(match);
  });
};

/** Pays for a text of so many characters, before it is made. */
export function make(characters: number): void {
  if (!(characters <= LIMITS.characters)) {
    throw new TemplateError(`it makes a text of ${characters} characters, at most ${LIMITS.characters} are allowed`);
  }
  read(characters);
}

/** One level deeper for as long as `run` takes. */
export function nested<T>(run: () => T): T {
  if (++depth > LIMITS.nesting) throw new TemplateError(`it nests more than ${LIMITS.nesting} levels deep`);
  const result = run();
  depth--;
  return result;
}
