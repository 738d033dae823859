/** How the composer looks. */
import { css } from 'lit';

export const composerStyles = css`
  :host {
    display: block;
    position: relative;
  }
  form {
    display: flex;
    align-items: end;
    gap: 0.5rem;
    padding: 0.45rem;
    border: 1px solid var(--_border);
    border-radius: calc(var(--_radius) + 8px);
    background: var(--_background);
    transition: border-color 0.15s;
  }
  form:focus-within {
    border-color: var(--_accent);
  }
  form:has(nibble-attachments) {
    flex-wrap: wrap;
  }
  nibble-attachments {
    flex: 0 0 100%;
    min-width: 0;
  }
  textarea {
    flex: 1;
    min-width: 0;
    font: inherit;
    color: inherit;
    background: none;
    border: 0;
    resize: none;
    padding: 0.4rem 0.6rem;
    max-height: min(16rem, 40dvh);
    field-sizing: content;
  }
  /* the form shows the focus */
  textarea:focus-visible {
    outline: 0;
  }
  textarea::placeholder {
    color: var(--_muted);
    opacity: 1;
  }
  button.tool + button.tool {
    margin-inline-start: -0.4rem;
  }
  button.tool {
    flex: none;
    width: 2.4rem;
    height: 2.4rem;
    padding: 0;
    border-color: transparent;
    color: var(--_muted);
    font-weight: 600;
  }
  button.tool:hover {
    color: var(--_text);
    background: var(--_surface);
  }
  .menu {
    position: absolute;
    z-index: 2;
    inset-inline: 0;
    bottom: calc(100% + 0.4rem);
    max-height: min(20rem, 50dvh);
    overflow-y: auto;
    padding: 0.35rem;
    border: 1px solid var(--_border);
    border-radius: calc(var(--_radius) + 2px);
    background: var(--_background);
    box-shadow: 0 8px 30px light-dark(#1a1f1d22, #00000066);
  }
  [role='listbox'] {
    margin: 0;
    padding: 0;
    list-style: none;
  }
  [role='option'] {
    display: flex;
    gap: 0.75rem;
    padding: 0.4rem 0.7rem;
    border-radius: calc(var(--_radius) - 4px);
    cursor: pointer;
  }
  [role='option'] > * {
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  [role='option'] b {
    flex: none;
    max-width: 50%;
  }
  [role='option'][aria-selected='true'] {
    background: var(--_surface);
    outline: 1px solid var(--_border);
  }
  .keys {
    margin: 0.2rem 0.7rem;
  }
  nibble-prompts:not(:defined) {
    display: none;
  }
  @media (forced-colors: active) {
    [role='option'][aria-selected='true'] {
      outline: 2px solid Highlight;
    }
  }
`;
