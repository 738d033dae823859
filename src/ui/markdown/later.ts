/** What is shown at once as it is, and later as something better that takes a module or a moment. */
import { noChange } from 'lit';
import { AsyncDirective, directive } from 'lit/async-directive.js';

/** Begins what makes it better. @returns that, if it is there already */
export type Better = (show: (better: unknown) => void) => unknown;

class Later extends AsyncDirective {
  #key = '';
  /** came while the element was not in a document */
  #missed: unknown;

  /**
   * @param key what it is: with the same one, all stays as it is shown
   * @param now shown until there is something better
   */
  override render(_key: string, now: unknown, _better: Better | null): unknown {
    return now;
  }

  override update(_part: unknown, [key, now, better]: [string, unknown, Better | null]): unknown {
    if (key === this.#key) return noChange;
    this.#key = key;
    this.#missed = undefined;
    const show = (value: unknown) => {
      if (this.#key !== key) return;
      if (this.isConnected) this.setValue(value);
      else this.#missed = value;
    };
    return better?.(show) ?? now;
  }

  override reconnected(): void {
    if (this.#missed !== undefined) this.setValue(this.#missed);
    this.#missed = undefined;
  }
}

/** @returns `now`, and what `better` gives as soon as it gives it */
export const later = directive(Later);
