/** The Content-Security-Policies of the product's pages. */

/** Of a page that nobody else may frame, and that sends no form and takes no plugin and no other base. */
const CLOSED = "frame-ancestors 'self'; base-uri 'none'; form-action 'none'; object-src 'none'";

/** The chat page on its own: nothing comes from, or goes to, any other origin. */
export const SELF_ONLY_CSP = `default-src 'self'; ${CLOSED}; worker-src 'self' blob:; connect-src 'self'`;

/**
 * The chat page as it is built: models may come from the Hub, of which nothing is asked before the person chooses one,
 * and WebAssembly may be compiled. `connect-src` comes last, so that a mirror's address can be put behind it.
 */
export const PAGE_CSP = `default-src 'self'; ${CLOSED}; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self' https://huggingface.co https://*.huggingface.co https://*.hf.co`;

/** What of a policy a <meta> can say: who may frame the page is up to the server. */
export const inMeta = (csp: string) => csp.replace(/frame-ancestors [^;]*; /, '');

/** A file that is no page and no script: whoever opens it by itself gets nothing that runs or fetches. */
export const FILE_CSP = `default-src 'none'; ${CLOSED}`;

/** One that may be anybody's, as a model's: it has no part in this origin either. */
export const DATA_CSP = "sandbox; default-src 'none'";

/** A site owner's strict policy: what the widget needs from `origin`, and nothing else. */
export const hostCsp = (origin: string) =>
  `default-src 'none'; style-src 'self'; script-src ${origin}; worker-src blob:; connect-src ${origin}; img-src 'self'`;
