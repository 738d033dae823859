/** Pictures of the widget's own buttons. */
import { html } from 'lit';

export const CHAT = html`<svg viewBox="0 0 24 24" aria-hidden="true"><path
  d="M12 4c-5 0-8.5 3-8.5 7.2 0 2.3 1 4.2 2.8 5.5L6 20.5l4-2.1q1 .2 2 .2c5 0 8.5-3 8.5-7.3S17 4 12 4Z" /></svg>`;
export const MINIMISE = html`<svg viewBox="0 0 24 24" aria-hidden="true"><path d="m6 9.5 6 6 6-6" /></svg>`;
export const NEW_CHAT = html`<svg viewBox="0 0 24 24" aria-hidden="true"><path
  d="M11 5H7a2.5 2.5 0 0 0-2.5 2.500V17A2.5 2.5 0 0 0 7 19.500h9.500A2.5 2.5 0 0 0 19 17v-4M10.5 13.5l.5-2.5 7.5-7.500a1.4 1.4 0 0 1 2 2l-7.5 7.500Z" /></svg>`;
