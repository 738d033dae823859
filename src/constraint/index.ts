/** Answers under a constraint, in one lazy module: it is fetched when a request has one. */
import { NibbleError } from '../errors';
import { ConstrainedAnswer } from './answer';
import { Constraint, type Writer } from './constraint';
import { gbnfGrammar } from './gbnf';
import { choice, type Grammar } from './grammar';
import { schemaGrammar } from './json-schema';
import { forgetExpressions, mustExpress, PLAINLY } from './regular';
import { regularExpression } from './regular-expression';
import { behindThought, markGrammar, thoughtGrammar } from './thought';
import { Vocabulary } from './vocabulary';

export { callGrammar } from './call-grammar';

/** What an answer may be: one of these, or a grammar that the caller has made. */
export interface Asked {
  schema?: object | null;
  pattern?: string | null;
  choice?: readonly string[] | null;
  grammar?: string | null;
  /** a grammar of our own, as a forced tool call's, and what tells it from others */
  own?: { key: string; grammar: () => Grammar } | null;
  forced: boolean;
  /** the model may not end its answer itself */
  ignoreEos?: boolean;
  maxThinkingTokens?: number | null;
}

/** How the answer is written; see text/answer-forms.ts. */
interface Thinking {
  reasoning: { open: string; close: string };
  /** the prompt has opened the thought */
  begun: boolean;
  /** and has closed it */
  closed: boolean;
}

const KINDS = ['schema', 'pattern', 'choice', 'grammar'] as const;
/** Constraints that are kept for the next answer. */
const KEPT = 4;

/** What was made ready of a model's vocabulary, and for its last constraints. */
export class Constraints {
  readonly #writer: Writer;
  readonly #kept = new Map<string, Constraint>();

  constructor(
    writer: Omit<Writer, 'vocabulary'> & { tokenizer: ConstructorParameters<typeof Vocabulary>[0] },
    rows: number,
  ) {
    this.#writer = { ...writer, vocabulary: new Vocabulary(writer.tokenizer, rows) };
  }

  /** Bytes that the vocabulary takes, with the masks of it that come as they are asked for. */
  get indexBytes(): number {
    return this.#writer.vocabulary.bytes;
  }

  /**
   * The answer to a request, before it begins.
   * @param thinking null: the model writes nothing but its answer
   * @throws invalid-option for what cannot be followed, with its place
   */
  begin(asked: Asked, thinking: Thinking | null): ConstrainedAnswer {
    const [option, grammar] = grammarOf(asked);
    const key = option && JSON.stringify([option, asked.own ? asked.own.key : asked[option as 'schema']]);
    const most = asked.maxThinkingTokens ?? Number.POSITIVE_INFINITY;
    const ready = (name: string, made: () => Grammar, of: string) =>
      this.#ready(`${asked.ignoreEos ?? false} ${name}`, made, of, asked.ignoreEos ? [] : this.#writer.ends);
    const opened = thinking?.begun === true && !thinking.closed;
    const answer = opened ? null : grammar && ready(key, grammar, option);
    const forces = asked.forced;
    if (!thinking || thinking.closed) return new ConstrainedAnswer({ answer, thought: null, forces });
    const { open, close } = thinking.reasoning;
    const behind = () => grammar && ready(`behind ${key}`, () => behindThought(grammar()), option);
    // what a thought is followed by is ready when it begins
    if (opened) behind();
    const thought = {
      begun: thinking.begun,
      opening: () => ready(`mark ${open}`, () => markGrammar(open), 'reasoning'),
      rest: () => ready(`thought ${close}`, () => thoughtGrammar(close), 'reasoning'),
      closing: () => ready(`mark ${close}`, () => markGrammar(close), 'reasoning'),
      answer: behind,
      most,
    };
    return new ConstrainedAnswer({ answer, thought, forces });
  }

  #ready(key: string, grammar: () => Grammar, option: string, ends: readonly number[]): Constraint {
    const made = this.#kept.get(key) ?? new Constraint(grammar(), { ...this.#writer, ends }, option);
    this.#kept.delete(key);
    this.#kept.set(key, made);
    // those of a thought, and of an answer before and behind it, are one
    while (this.#kept.size > KEPT * 2) this.#kept.delete(this.#kept.keys().next().value!);
    return made;
  }
}

/** Which option asks, and for what. @throws invalid-option for two at once */
function grammarOf(asked: Asked): [option: string, grammar: (() => Grammar) | null] {
  const given: string[] = KINDS.filter((kind) => (asked[kind] ?? null) !== null);
  if (asked.own) given.push('toolChoice');
  if (given.length > 1)
    throw new NibbleError('invalid-option', `An answer has one constraint: give ${given.join(' or ')}.`, {
      option: given[1],
    });
  const { schema, pattern, choice: choices, grammar, own } = asked;
  switch (given[0]) {
    case 'schema':
      return ['schema', () => schemaGrammar(schema)];
    case 'pattern':
      return ['pattern', () => patternGrammar(pattern!)];
    case 'choice':
      return ['choice', () => choice(choices!.map((text) => text.toWellFormed()))];
    case 'grammar':
      return ['grammar', () => gbnfGrammar(grammar!)];
    case 'toolChoice':
      return ['toolChoice', own!.grammar];
    default:
      return ['', null];
  }
}

function patternGrammar(source: string): Grammar {
  forgetExpressions();
  const rules: Grammar['rules'] = new Map();
  const language = regularExpression(source, false, 'pattern');
  return { start: mustExpress(language, rules as Map<string, never>, PLAINLY, 'pattern'), rules };
}
