/** How an application has a say in where the worker comes from. */

/** Makes a worker that has said nothing yet. */
export type MakeWorker = () => Worker | Promise<Worker>;

/** Where the worker comes from, when not from the library itself. */
export interface WorkerOptions {
  /**
   * Address of the file that the package exports as `nibble-llm/worker`, for pages whose Content-Security-Policy allows
   * no `blob:` workers; relative to the page. One on another origin is allowed, if its server sends
   * `Access-Control-Allow-Origin` and the policy allows `blob:`. Default: the library's own.
   */
  workerUrl?: string | URL;
  /**
   * Makes the worker itself, e.g. `() => new Worker(new URL('nibble-llm/worker', import.meta.url))`. Default: the
   * library makes it.
   */
  createWorker?: MakeWorker;
}
