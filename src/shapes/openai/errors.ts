/** Failures in OpenAI's form: `{ error: { message, type, param, code } }` with an HTTP status. */
import type { ErrorCode, NibbleError } from '../../index';

/** What the body of a failed request has under `error`. */
export interface ErrorBody {
  message: string;
  type: 'invalid_request_error' | 'server_error';
  param: string | null;
  code: string | null;
}

/** A failure that is told as it is. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly param: string | null = null,
    readonly code: string | null = null,
    /** whether the same request may succeed a moment later: OpenAI's clients ask again where that is not denied */
    readonly again = false,
  ) {
    super(message);
  }

  get body(): ErrorBody {
    const type = this.status < 500 ? 'invalid_request_error' : 'server_error';
    return { message: this.message, type, param: this.param, code: this.code };
  }
}

/** @param param the field, as a path: `tools[0].function.name` @throws ApiError 400, always */
export function refused(param: string, must: string, code = 'invalid_value'): never {
  throw new ApiError(400, `${param} must be ${must}.`, param, code);
}

/** @throws ApiError 400, always, for what this API has and a model on this device has not */
export function unsupported(param: string, why: string): never {
  throw new ApiError(400, `${param} is not supported: ${why}.`, param, 'unsupported_parameter');
}

/** The engine's options by their names in requests, where those are others. */
const PARAMS: Readonly<Record<string, string>> = {
  maxNewTokens: 'max_tokens',
  topP: 'top_p',
  topK: 'top_k',
  minP: 'min_p',
  typicalP: 'typical_p',
  repetitionPenalty: 'repetition_penalty',
  presencePenalty: 'presence_penalty',
  frequencyPenalty: 'frequency_penalty',
  minTokens: 'min_tokens',
  logitBias: 'logit_bias',
  logprobs: 'top_logprobs',
  schema: 'response_format',
  toolChoice: 'tool_choice',
  templateOptions: 'chat_template_kwargs',
  ignoreEos: 'ignore_eos',
  continueFinalMessage: 'continue_final_message',
};

/** Statuses and codes of the engine's failures; what is not here is 500, under its own name. */
const STATUS: Partial<Record<ErrorCode, [status: number, code?: string]>> = {
  'invalid-option': [400, 'invalid_value'],
  'context-overflow': [400, 'context_length_exceeded'],
  'unsupported-architecture': [400],
  'out-of-memory': [503],
  disposed: [503],
};

/** An engine's error is known by its name: there may be another copy of its class. */
const isNibbleError = (error: unknown): error is NibbleError => error instanceof Error && error.name === 'NibbleError';

/** Whatever was thrown, as it is told. @param names of the engine's options, where a route has others */
export function apiError(thrown: unknown, names: Readonly<Record<string, string>> = {}): ApiError {
  if (thrown instanceof ApiError) return thrown;
  if (!isNibbleError(thrown)) return new ApiError(500, thrown instanceof Error ? thrown.message : String(thrown));
  const { message, code, details } = thrown;
  const [status, known = code.replaceAll('-', '_')] = STATUS[code] ?? [500];
  const option = typeof details.option === 'string' ? details.option : null;
  const param = option && (names[option] ?? PARAMS[option] ?? option);
  return new ApiError(status, message, param, known, code === 'device-lost' || code === 'worker-failed');
}
