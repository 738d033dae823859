/** A request's JSON, read field by field: what has the wrong kind is refused, what nobody reads is noted. */
import { ApiError, refused } from './errors';

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The fields of an object; null is as good as absent. */
export class Fields {
  readonly #read = new Set<string>();
  readonly #inner: Fields[] = [];
  readonly #unheeded = new Set<string>();

  private constructor(
    readonly object: Json,
    readonly path = '',
  ) {}

  /** @throws ApiError 400 for what is no object */
  static of(value: unknown, path = ''): Fields {
    if (isObject(value)) return new Fields(value, path);
    if (path) refused(path, 'an object');
    throw new ApiError(400, 'The body must be a JSON object.', null, 'invalid_value');
  }

  /** Where a field stands, as errors name it. */
  at(name: string | number): string {
    if (typeof name === 'number') return `${this.path}[${name}]`;
    return this.path ? `${this.path}.${name}` : name;
  }

  /** Whatever it is. */
  any(name: string): unknown {
    this.#read.add(name);
    return (Object.hasOwn(this.object, name) ? this.object[name] : undefined) ?? undefined;
  }

  #checked<T>(name: string, is: (value: unknown) => value is T, must: string): T | undefined {
    const value = this.any(name);
    return value === undefined || is(value) ? value : refused(this.at(name), must);
  }

  text(name: string): string | undefined {
    return this.#checked(name, (value) => typeof value === 'string', 'a text');
  }

  number(name: string): number | undefined {
    return this.#checked(name, (value) => typeof value === 'number', 'a number');
  }

  /** @param most as this API has it; what the engine takes is its own matter */
  whole(name: string, least: number, most = Number.MAX_SAFE_INTEGER): number | undefined {
    const range = most < Number.MAX_SAFE_INTEGER ? `from ${least} to ${most}` : `of at least ${least}`;
    const fits = (value: unknown): value is number =>
      Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
    return this.#checked(name, fits, `a whole number ${range}`);
  }

  flag(name: string): boolean | undefined {
    return this.#checked(name, (value) => typeof value === 'boolean', 'true or false');
  }

  list(name: string): unknown[] | undefined {
    return this.#checked(name, (value): value is unknown[] => Array.isArray(value), 'a list');
  }

  /** As JSON has it, for who reads it elsewhere. */
  json(name: string): Json | undefined {
    return this.#checked(name, isObject, 'an object');
  }

  /** Its own fields, which count among what is noted. */
  inner(name: string): Fields | undefined {
    const value = this.json(name);
    return value && this.#note(new Fields(value, this.at(name)));
  }

  /** The objects of a list. */
  each(name: string): Fields[] | undefined {
    const own = this.at(name);
    return this.list(name)?.map((value, place) => this.#note(Fields.of(value, `${own}[${place}]`)));
  }

  #note(fields: Fields): Fields {
    this.#inner.push(fields);
    return fields;
  }

  /** Notes a field that was read and could not be heeded. */
  unheeded(name: string): void {
    this.#unheeded.add(this.at(name));
  }

  /** Paths of the fields that say something and were not heeded. */
  ignored(): string[] {
    const unread = Object.keys(this.object).filter((name) => !this.#read.has(name) && this.object[name] !== null);
    const own = unread.map((name) => this.at(name));
    return [...own, ...this.#unheeded, ...this.#inner.flatMap((inner) => inner.ignored())];
  }
}

const NAME_CHARACTERS = 200;
const HEADER_CHARACTERS = 1000;

/** Names of fields as a header may have them: its characters, and not without end. */
export function headerOf(names: readonly string[]): string {
  const escaped = names.map((name) =>
    name
      .slice(0, NAME_CHARACTERS)
      .toWellFormed()
      .replace(/[^!-~]+/g, encodeURIComponent),
  );
  const all = escaped.join(', ');
  return all.length > HEADER_CHARACTERS ? `${all.slice(0, HEADER_CHARACTERS)}...` : all;
}
