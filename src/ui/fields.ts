/** Text fields and their labels, for elements that have some. */
import { css } from 'lit';

export const fields = css`
  label {
    display: grid;
    gap: 0.3rem;
    font-size: 0.9375em;
  }
  input {
    font: inherit;
    font-size: 1rem;
    color: inherit;
    width: 100%;
    min-width: 0;
    padding: 0.45rem 0.8rem;
    border: 1px solid var(--_border);
    border-radius: var(--_radius);
    background: var(--_background);
  }
  input::placeholder {
    color: var(--_muted);
    opacity: 1;
  }
  input:focus-visible {
    outline-offset: 0;
  }
`;
