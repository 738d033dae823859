/** What this browser remembers of a person's choices: a short text by key. Where nothing may be stored, nothing is. */

/** null: nothing was chosen, or nothing may be stored */
export function recall(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** @param value null: forget it. Where nothing may be stored, the choice holds for this visit */
export function remember(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // it holds for this visit
  }
}
