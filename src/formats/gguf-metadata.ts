/** A GGUF's metadata by key, checked as it is read. */
import type { GgufValue } from './gguf-header';
import { corrupt } from './json';

/** Typed access to metadata: a key of the wrong type is an error, a missing one undefined. */
export class Metadata {
  constructor(
    private readonly values: Map<string, GgufValue>,
    private readonly path: string,
  ) {}

  private get<T>(key: string, type: string): T | undefined {
    const value = this.values.get(key);
    if (value !== undefined && typeof value !== type)
      throw corrupt(`${this.path}: ${key} is no ${type}`, { path: this.path, key });
    return value as T | undefined;
  }

  number = (key: string) => this.get<number>(key, 'number');
  string = (key: string) => this.get<string>(key, 'string');
  boolean = (key: string) => this.get<boolean>(key, 'boolean');

  need(key: string): number {
    const value = this.number(key);
    if (value === undefined) throw corrupt(`${this.path} does not say ${key}`, { path: this.path, key });
    return value;
  }

  list<T extends string | number>(key: string, type: 'string' | 'number'): T[] | undefined {
    const value = this.values.get(key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || value.some((item) => typeof item !== type)) {
      throw corrupt(`${this.path}: ${key} is no list of ${type}s`, { path: this.path, key });
    }
    return value as T[];
  }
}

/**
 * GGUF holds f32 where config.json has decimals: the shortest decimal that rounds to the same f32 (1e-5, not 9.99e-6).
 */
export function shortestDecimal(f32: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(f32.toPrecision(digits));
    if (Math.fround(short) === f32) return short;
  }
  return f32;
}
