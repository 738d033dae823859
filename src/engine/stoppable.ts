/** What ends a request before it is done. */
export interface Stoppable {
  /** When it fires, the request fails as `aborted`. */
  signal?: AbortSignal;
}
