/** How the sections of the settings look: a label, a control, a sentence about it. */
import { css } from 'lit';

export const formStyles = css`
  :host {
    display: grid;
    gap: 1.3rem;
    align-content: start;
  }
  h3,
  p {
    margin: 0;
  }
  h3 {
    font-size: 1rem;
  }
  .field {
    display: grid;
    gap: 0.3rem;
  }
  .fields {
    display: grid;
    grid-template-columns: repeat(auto-fill, minmax(min(13rem, 100%), 1fr));
    gap: 1.1rem 1.3rem;
    align-items: start;
  }
  label,
  legend {
    font-weight: 550;
  }
  input:not([type='radio'], [type='checkbox']),
  select,
  textarea {
    font: inherit;
    color: inherit;
    width: 100%;
    min-width: 0;
    padding: 0.4rem 0.7rem;
    background: var(--_background);
    border: 1px solid var(--_border);
    border-radius: calc(var(--_radius) - 4px);
  }
  textarea {
    resize: vertical;
    min-height: 5rem;
  }
  ::placeholder {
    color: var(--_muted);
    opacity: 1;
  }
  [aria-invalid='true'] {
    border-color: var(--_danger);
  }
  .fault {
    color: var(--_danger);
    font-size: 0.875em;
  }
  .row {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 0.5rem;
  }
  .danger {
    color: var(--_danger);
    border-color: currentColor;
  }
  p:empty {
    display: none;
  }
`;
