/** A formula as a lit template: as it was written, and as MathML when what draws it is here. */
import { html } from 'lit';
import type { Formula } from './formulas';
import { type Better, later } from './later';

let draw: typeof import('./mathml').mathml | undefined;

const better =
  ({ text, display }: Formula): Better =>
  (show) => {
    if (draw) return draw(text, display, show);
    // the next formula tries again
    void import('./mathml').then(
      ({ mathml }) => {
        draw = mathml;
        const drawn = mathml(text, display, show);
        if (drawn) show(drawn);
      },
      () => {},
    );
    return undefined;
  };

/** One that stands by itself may be wider than the message, and scrolls. */
export function formula(token: Formula) {
  const content = later(token.raw, token.raw.trim(), better(token));
  return token.display
    ? html`<span class="formula" dir="ltr" tabindex="0">${content}</span>`
    : html`<span dir="ltr">${content}</span>`;
}
