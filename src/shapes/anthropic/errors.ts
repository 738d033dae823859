/** Failures in Anthropic's form: `{ type: 'error', error: { type, message } }` with an HTTP status. */

/** Names by status (docs.anthropic.com/en/api/errors); what else is a fault of the client is an invalid request. */
const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  529: 'overloaded_error',
};

/** The body of a failed request, and of the event that tells of a failure within a stream. */
export function anthropicError(status: number, message: string) {
  const type = TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error');
  return { type: 'error' as const, error: { type, message } };
}
