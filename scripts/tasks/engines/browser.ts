/** What the journey needs of a browser, whatever protocol it is driven by. */

export interface Tab {
  /** Opens an address, and waits until the page's own scripts have run. */
  goto(address: string): Promise<void>;
  reload(): Promise<void>;
  /**
   * Runs the body of an async function in the page.
   * @returns what it gives, as JSON has it
   * @throws Error with what the page threw
   */
  run<T>(body: string): Promise<T>;
}

export interface Browser {
  /** "Firefox 153.8.0" */
  name: string;
  newTab(): Promise<Tab>;
  close(): Promise<void>;
}

/** One engine on this machine. */
export interface Engine {
  name: string;
  /** whether its profile outlives it: without that there is no second visit */
  lasts: boolean;
  /** what is missing here, as a sentence; null: it can be opened */
  missing(): string | null;
  /** @param profile a folder for all that it keeps */
  open(profile: string): Promise<Browser>;
}

/** What a page is to be asked, as one expression whose value is a text: protocols differ in what values they carry. */
export const asExpression = (body: string) =>
  `(async () => { try { return JSON.stringify({ value: await (async () => { ${body} })() }); }
    catch (error) { return JSON.stringify({ error: String(error) }); } })()`;

/** @throws Error with what the page threw */
export function fromPage<T>(answer: unknown): T {
  const { value, error } = JSON.parse(String(answer));
  if (error) throw new Error(error);
  return value as T;
}
