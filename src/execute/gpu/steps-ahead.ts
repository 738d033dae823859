/**
 * How many steps are encoded before the caller has the ids of those before them, and how many ids come back at once.
 * Enough that a GPU of a thousand steps a second never waits for JavaScript, which hears of an id some milliseconds
 * late; so few that nobody notices what is thrown away when an answer ends otherwise than by an id that the sampler
 * knows (by a stop string, by Stop). Pure, but for what it remembers of the last steps.
 */
import { IDS_AT_ONCE, MOST_AHEAD } from '../../memory/gpu-scratch';
import { SUBMIT_MS } from './submitter';

/** Of steps that wait on the GPU, ms: a Stop is heard that much later, and so does the next request begin. */
const QUEUED_MS = SUBMIT_MS / 2;
/**
 * The fewest steps ahead, while so many take no longer than SUBMIT_MS; and the most where the caller reads each id
 * (a stop string, a draft): whatever it finds, so much is thrown away.
 */
const FEW_AHEAD = 4;
/** What a measurement still counts after another one: a pause of JavaScript's is soon forgotten, and made up for. */
const KEEP = 0.75;

export class Pace {
  readonly #fixed: number | undefined;
  #ms = 0;
  #ids = 0;

  /** @param fixed for tests: so many steps ahead, however long they take */
  constructor(fixed?: number) {
    this.#fixed = fixed;
  }

  /** So many ids came after so many ms in which the GPU had something to do. */
  add(ids: number, ms: number): void {
    this.#ids = this.#ids * KEEP + ids;
    this.#ms = this.#ms * KEEP + ms;
  }

  /** Steps that may be encoded ahead; before there is a measurement, and where steps are slow, none. */
  depth(looksAtEach: boolean): number {
    const most = looksAtEach ? FEW_AHEAD : MOST_AHEAD;
    if (this.#fixed !== undefined) return Math.min(most, this.#fixed);
    const stepMs = this.#ids > 0 ? this.#ms / this.#ids : Number.POSITIVE_INFINITY;
    if (stepMs > SUBMIT_MS / 2) return 0;
    const few = Math.min(FEW_AHEAD, Math.floor(SUBMIT_MS / stepMs));
    return Math.min(most, Math.max(few, Math.floor(QUEUED_MS / stepMs)));
  }
}

/**
 * Ids that come back at once, where `depth` steps are ahead: one message for each would be a thousand a second between
 * a browser's processes. An id waits for those behind it for an eighth of what is queued; the first ones come singly.
 */
export const idsAtOnce = (depth: number, drawn: number): number =>
  Math.max(1, Math.min(IDS_AT_ONCE, Math.floor(depth / 8), Math.floor(drawn / 4)));

/**
 * Which steps of a request are undecided: encoded, while the caller may still leave before them. What they write must
 * be such that it can be undone. In a ring that is so by position, while no more of them are ahead than it has slots
 * beside the window (chunk - 1). A state that is overwritten as it goes would be copied before the first undecided
 * step; `most` would then be bounded by how many copies the plan has, and their owner asks here which one is due.
 */
export class Undecided {
  /** the first whose id the caller has not had */
  first = 0;
  /** those that are encoded; the one after them is the next */
  encoded = 0;
  readonly #most: number;

  /** @param most steps that can be undone */
  constructor(most: number) {
    this.#most = most;
  }

  /** Of so many steps ahead, those that can be undone. */
  within(depth: number): number {
    return Math.min(depth, this.#most);
  }

  /** How many more may be encoded now: the one that the caller waits for, and `depth` ahead of it. */
  room(depth: number): number {
    return this.first + this.within(depth) + 1 - this.encoded;
  }
}
