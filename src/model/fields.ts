/** Reads one field of an untrusted config: the value within its bounds, or corrupt-checkpoint with what was found. */
import { NibbleError } from '../errors';
import type { Json, JsonObject } from '../formats/json';

function refuse(key: string, found: Json | undefined, wanted: string): never {
  const value = found === undefined ? 'missing' : JSON.stringify(found);
  throw new NibbleError('corrupt-checkpoint', `config.json: ${key} must be ${wanted}, but is ${value}.`, {
    field: key,
    value,
  });
}

/** A number in [min, max]; absent or null gives `fallback`, without one it is refused. */
export function real(config: JsonObject, key: string, min: number, max: number, fallback?: number): number {
  const value = config[key] ?? fallback;
  if (typeof value === 'number' && value >= min && value <= max) return value;
  return refuse(key, value, `a number from ${min} to ${max}`);
}

/** The same for whole numbers. */
export function integer(config: JsonObject, key: string, min: number, max: number, fallback?: number): number {
  const value = config[key] ?? fallback;
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
  return refuse(key, value, `a whole number from ${min} to ${max}`);
}

/** A finite number above zero. */
export function positive(config: JsonObject, key: string, fallback?: number): number {
  return real(config, key, Number.MIN_VALUE, 1e12, fallback);
}

export function text(config: JsonObject, key: string, fallback?: string): string {
  const value = config[key] ?? fallback;
  return typeof value === 'string' ? value : refuse(key, value, 'a string');
}

export function truth(config: JsonObject, key: string, fallback: boolean): boolean {
  const value = config[key] ?? fallback;
  return typeof value === 'boolean' ? value : refuse(key, value, 'true or false');
}

/** A nested object, or null when absent. */
export function object(config: JsonObject, key: string): JsonObject | null {
  const value = config[key] ?? null;
  if (value === null || (typeof value === 'object' && !Array.isArray(value))) return value;
  return refuse(key, value, 'an object');
}
