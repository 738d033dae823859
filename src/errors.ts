/**
 * The one error class of Nibble. Every failure a caller can meet has a stable `code`, the numbers in `details`,
 * and a sentence that says what to do next. Errors cross the worker boundary unchanged (see protocol.ts).
 */

/**
 * What went wrong, as programs read it.
 * - `webgpu-unavailable`: there is no usable graphics device, and one was asked for
 * - `out-of-memory`: the device or the memory budget has no room; `details` has the plan's bytes, and what would fit
 * - `device-lost`: the graphics device went away, and the model could not be loaded again by itself
 * - `limit-exceeded`: a buffer or dispatch is larger than the device takes
 * - `context-overflow`: the conversation needs more positions than it may have; `details` has the numbers
 * - `unsupported-architecture`: the model's family, or something in its config, cannot run here
 * - `unsupported-quantization`: its weights are stored in a way that is not read
 * - `corrupt-checkpoint`: a file is not what its format says
 * - `integrity-mismatch`: bytes differ from their digest, or a file changed on its server
 * - `quota-exceeded`: the browser has no room to keep the model; `details` has the bytes
 * - `storage-unavailable`: IndexedDB or a file cannot be used, or what is kept is in use
 * - `network`: a server did not give what was asked for; `details` has `url` and `status`
 * - `aborted`: it was stopped by its signal or by stop()
 * - `invalid-option`: an argument is not taken; `details.option` names it
 * - `worker-failed`: the worker did not start, or does not answer
 * - `disposed`: dispose() was called before
 * - `unsupported-remote`: a server answers, and what was asked needs the model on this device; `details.what` names it
 */
export type ErrorCode =
  | 'webgpu-unavailable'
  | 'out-of-memory'
  | 'device-lost'
  | 'limit-exceeded'
  | 'context-overflow'
  | 'unsupported-architecture'
  | 'unsupported-quantization'
  | 'corrupt-checkpoint'
  | 'integrity-mismatch'
  | 'quota-exceeded'
  | 'storage-unavailable'
  | 'network'
  | 'aborted'
  | 'invalid-option'
  | 'worker-failed'
  | 'disposed'
  | 'unsupported-remote';

/** The numbers and names of a failure: values that survive structured cloning and JSON. */
export type ErrorDetails = Record<string, string | number | boolean | null | readonly (string | number)[]>;

/** An address: its name and password, and its query, are secret. */
const ADDRESS = /(\bhttps?:\/\/)(?:[^\s/?#]*@)?([^\s?]*)(\?\S*)?/gi;
/** what ends a sentence and no address */
const MARKS = ').,:;!?…"\'”’';

/** A text without what is secret in the addresses that stand in it. */
export const withoutSecrets = (text: string): string =>
  text.replace(ADDRESS, (_, scheme: string, place: string, query = '') => {
    let end = query.length;
    while (end > 0 && MARKS.includes(query[end - 1])) end--;
    return scheme + place + query.slice(end);
  });

/** A name from a file may be as long as the file: its beginning is enough to find it. */
const NAME_CHARACTERS = 200;
const SENTENCE_CHARACTERS = 2000;
/** Addresses and paths are the caller's own, and are not cut so soon. */
const PLACE = /^(url|path|folder)$/;

/** The beginning of a text, where all of it does not belong into a sentence. */
export const cut = (text: string, most = NAME_CHARACTERS): string =>
  text.length > most ? `${text.slice(0, most)}…` : text;

/** Without what is secret, and without the rest of what has no end. */
function sentence(message: string): string {
  const words = withoutSecrets(message).replace(/\S{201,}/g, (word) => (/^\W?https?:/.test(word) ? word : cut(word)));
  return cut(words, SENTENCE_CHARACTERS);
}

function cutDetails(details: ErrorDetails): ErrorDetails {
  const short = <T>(value: T, most?: number) => (typeof value === 'string' ? cut(withoutSecrets(value), most) : value);
  const entries = Object.entries(details).map(([key, value]) => [
    key,
    Array.isArray(value)
      ? value.slice(0, NAME_CHARACTERS).map((one) => short(one))
      : short(value, PLACE.test(key) ? SENTENCE_CHARACTERS : undefined),
  ]);
  return Object.fromEntries(entries);
}

/**
 * The one class of errors that Nibble throws. Its message is a sentence that says what to do next; secrets of addresses
 * are left out of it.
 */
export class NibbleError extends Error {
  /** Always 'NibbleError'. */
  override readonly name = 'NibbleError';
  /** What went wrong, for programs. */
  readonly code: ErrorCode;
  /** The numbers and names behind the message; {} where there are none. */
  readonly details: ErrorDetails;

  /** By name, so that an error of another copy of this class counts too: the widget's later parts carry one. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Error && value.name === 'NibbleError';
  }

  /**
   * An error with this code. Names, passwords and queries of addresses are left out of `message` and `details`, and
   * what has no end is cut.
   */
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(sentence(message), options);
    this.code = code;
    this.details = cutDetails(details);
  }

  /** The form that crosses workers and is printed by the CLI's `--json`. */
  toJSON(): { code: ErrorCode; message: string; details: ErrorDetails } {
    return { code: this.code, message: this.message, details: this.details };
  }
}

/** Wraps anything thrown as a NibbleError; a NibbleError passes unchanged, an AbortError becomes `aborted`. */
export function asNibbleError(thrown: unknown, fallback: ErrorCode = 'worker-failed'): NibbleError {
  if (thrown instanceof NibbleError) return thrown;
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  if (error.name === 'AbortError') return new NibbleError('aborted', 'The request was stopped.', {}, { cause: error });
  if (error.name === 'DataCloneError')
    return new NibbleError(
      'invalid-option',
      `An argument cannot be sent to the worker: ${error.message}`,
      {},
      { cause: error },
    );
  return new NibbleError(fallback, error.message, {}, { cause: error });
}

/** Throws `aborted` when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new NibbleError('aborted', 'The request was stopped.');
}
