/** How a field for a line of text looks; an element says how wide it is. */
import { css } from 'lit';

export const textField = css`
  input:where(:not([type='checkbox'])) {
    font: inherit;
    color: inherit;
    min-width: 0;
    padding: 0.45rem 0.8rem;
    border: 1px solid var(--_border);
    border-radius: var(--_radius);
    background: var(--_background);
  }
`;
