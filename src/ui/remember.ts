/**
 * What this browser remembers of a person's choices on this page: a short text by key. An origin may have several
 * pages, which share one storage, so the page's folder is part of the key. Where nothing may be stored, nothing is.
 */

/** Stands for null where a choice of before November 2026, which has no folder in its key, would speak otherwise. */
const FORGOTTEN = 'forgotten';

/** The folder that this page is in, as its address has it: what tells it apart from others of its origin. */
export const pageFolder = (): string => new URL('.', document.baseURI).pathname;

const keyHere = (key: string) => `${key} ${pageFolder()}`;

/** null: nothing was chosen, or nothing may be stored */
export function recall(key: string): string | null {
  try {
    const chosen = localStorage.getItem(keyHere(key)) ?? localStorage.getItem(key);
    return chosen === FORGOTTEN ? null : chosen;
  } catch {
    return null;
  }
}

/** @param value null: forget it. Where nothing may be stored, the choice holds for this visit */
export function remember(key: string, value: string | null): void {
  try {
    if (value === null && localStorage.getItem(key) === null) localStorage.removeItem(keyHere(key));
    else localStorage.setItem(keyHere(key), value ?? FORGOTTEN);
  } catch {
    // it holds for this visit
  }
}
