/** Regular expressions as Rust's tokenizers have them, in time linear in the text. */
import { Automaton, type Matches } from './automaton';
import { type Node, parse } from './parse';
import { Program } from './program';

export type { Matches } from './automaton';
export { literal } from './parse';

/** A pattern of Oniguruma's syntax and meaning, run without backtracking. */
export class LinearRegex {
  readonly #automaton: Automaton;

  /**
   * @param pattern its text, or its tree
   * @throws Error with the reason, for a pattern that is broken, too large, or that needs backtracking
   */
  constructor(pattern: string | Node) {
    const program = new Program(false);
    this.#automaton = new Automaton(program, [program.add(typeof pattern === 'string' ? parse(pattern) : pattern)]);
  }

  /** Characters read and states looked at so far, for tests: work that depends on no machine. */
  get steps(): number {
    return this.#automaton.steps;
  }

  matches(text: string): Matches {
    return this.#automaton.matches(text);
  }
}
