/** Errors as Chrome's Prompt API has them: DOMExceptions, by name. */
import type { ErrorCode } from '../index';

/** What is not here is UnknownError. */
const NAMES: Partial<Record<ErrorCode, string>> = {
  aborted: 'AbortError',
  disposed: 'InvalidStateError',
  'invalid-option': 'NotSupportedError',
  network: 'NetworkError',
  'unsupported-architecture': 'NotSupportedError',
  'unsupported-quantization': 'NotSupportedError',
  'webgpu-unavailable': 'NotSupportedError',
};

export const exception = (name: string, message: string, cause?: unknown): DOMException =>
  Object.assign(new DOMException(message, name), cause === undefined ? {} : { cause });

/** @param requested tokens @param quota tokens that there is room for */
export function quotaExceeded(message: string, requested: number, quota: number, cause?: unknown): DOMException {
  type Own = new (message: string, numbers: object) => DOMException;
  const { QuotaExceededError } = globalThis as { QuotaExceededError?: Own };
  const numbers = { requested, quota };
  const error = QuotaExceededError
    ? new QuotaExceededError(message, numbers)
    : Object.assign(exception('QuotaExceededError', message), numbers);
  return Object.assign(error, cause === undefined ? {} : { cause });
}

/** An error of the engine's as one of Chrome's; all others as they are. */
export function asException(error: unknown): unknown {
  if (!(error instanceof Error && error.name === 'NibbleError')) return error;
  const { code, details, message } = error as Error & { code: ErrorCode; details: Record<string, unknown> };
  if (code !== 'context-overflow') return exception(NAMES[code] ?? 'UnknownError', message, error);
  return quotaExceeded(message, Number(details.promptTokens ?? 0), Number(details.capacity ?? 0), error);
}
