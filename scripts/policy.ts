/** The Content-Security-Policies of the product's pages. */

/** The chat page on its own: nothing comes from, or goes to, any other origin. */
export const SELF_ONLY_CSP = "default-src 'self'; worker-src 'self' blob:; connect-src 'self'";

/**
 * The chat page as it is built: models may come from the Hub, of which nothing is asked before the person chooses one,
 * and WebAssembly may be compiled. `connect-src` comes last, so that a mirror's address can be put behind it.
 */
export const PAGE_CSP =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self' https://huggingface.co https://*.huggingface.co https://*.hf.co";

/** A site owner's strict policy: what the widget needs from `origin`, and nothing else. */
export const hostCsp = (origin: string) =>
  `default-src 'none'; style-src 'self'; script-src ${origin}; worker-src blob:; connect-src ${origin}; img-src 'self'`;
