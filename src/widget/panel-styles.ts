/** The look of the widget around its chat: a box in the page, or a launcher in a corner and the panel that it opens. */
import { css } from 'lit';

export const panelStyles = css`
  :host {
    display: flex;
    flex-direction: column;
    height: 30rem;
    min-height: 18rem;
    color-scheme: inherit;
  }
  :host([color-scheme='light' i]) {
    color-scheme: light;
  }
  :host([color-scheme='dark' i]) {
    color-scheme: dark;
  }
  :host([popover]:not(:popover-open)) {
    display: none;
  }
  /* it takes no place in the page, whatever the page says of its size */
  :host([data-floating]) {
    display: contents !important;
  }
  :host([hidden]) {
    display: none !important;
  }
  .root {
    flex: 1;
    min-height: 0;
    display: flex;
    flex-direction: column;
    color: var(--_text);
  }
  .root[dir='ltr'] {
    --nibble-direction: ltr;
  }
  .root[dir='rtl'] {
    --nibble-direction: rtl;
  }
  .panel {
    direction: var(--nibble-direction);
    flex: 1;
    min-height: 0;
    display: flex;
    flex-direction: column;
    gap: 0.75rem;
    padding: 0.75rem 1.25rem 1.25rem;
    border: 1px solid var(--_border);
    border-radius: calc(var(--_radius) + 6px);
    background: var(--_background);
    color: var(--_text);
    overflow: hidden;
  }
  .panel.start {
    padding: 1.25rem;
  }
  .panel[hidden] {
    display: none;
  }
  .panel:focus {
    outline: 0;
  }
  nibble-view {
    flex: 1;
  }
  header {
    display: flex;
    align-items: center;
    gap: 0.25rem;
    padding-bottom: 0.6rem;
    margin: 0 -1.25rem;
    padding-inline: 1.25rem 0.75rem;
    border-bottom: 1px solid var(--_border);
  }
  header h2 {
    flex: 1;
    min-width: 0;
    font-size: 1rem;
    font-weight: 600;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .avatar {
    display: flex;
    flex: none;
  }
  .avatar ::slotted(*) {
    inline-size: 2rem;
    block-size: 2rem;
    margin-inline-end: 0.5rem;
    border-radius: 50%;
    object-fit: cover;
  }
  button.icon {
    display: grid;
    place-items: center;
    flex: none;
    width: 2.25rem;
    height: 2.25rem;
    padding: 0;
    border-color: transparent;
    color: var(--_muted);
  }
  button.icon:hover {
    color: var(--_text);
    background: var(--_surface);
    border-color: transparent;
  }
  svg {
    width: 1.25rem;
    height: 1.25rem;
    fill: none;
    stroke: currentColor;
    stroke-width: 1.75;
    stroke-linecap: round;
    stroke-linejoin: round;
  }
  .notice,
  .tool {
    margin: 0;
    max-width: none;
  }
  .greeting {
    justify-self: start;
    max-width: 85%;
    padding: 0.6rem 1rem;
    border-radius: var(--_radius);
    border-end-start-radius: 4px;
    background: var(--_surface);
    white-space: pre-line;
    overflow-wrap: anywhere;
  }
  .start .greeting {
    justify-self: center;
  }
  .closed {
    margin: auto;
    display: grid;
    justify-items: center;
    gap: 1rem;
    text-align: center;
  }
  h2 {
    font-size: 1.2rem;
    line-height: 1.3;
    margin: 0;
    text-wrap: balance;
  }
  p {
    margin: 0;
    max-width: 26rem;
  }

  /* In a corner, above the whole page. Corners are of the screen, whichever way a language runs. */
  .float {
    position: fixed;
    inset: auto;
    direction: ltr;
    display: flex;
    flex-direction: column-reverse;
    align-items: flex-end;
    gap: 0.75rem;
    width: auto;
    height: auto;
    max-width: none;
    max-height: none;
    margin: 0;
    padding: 0;
    border: 0;
    overflow: visible;
    background: none;
    z-index: 2147483000;
    pointer-events: none;
  }
  .float > * {
    pointer-events: auto;
  }
  .float.bottom-right {
    bottom: var(--nibble-offset, 1rem);
    right: var(--nibble-offset, 1rem);
  }
  .float.bottom-left {
    bottom: var(--nibble-offset, 1rem);
    left: var(--nibble-offset, 1rem);
    align-items: flex-start;
  }
  .float.top-right {
    top: var(--nibble-offset, 1rem);
    right: var(--nibble-offset, 1rem);
    flex-direction: column;
  }
  .float.top-left {
    top: var(--nibble-offset, 1rem);
    left: var(--nibble-offset, 1rem);
    flex-direction: column;
    align-items: flex-start;
  }
  dialog.panel {
    position: static;
    flex: none;
    margin: 0;
    max-width: none;
    max-height: none;
    width: min(var(--nibble-width, 25rem), calc(100vw - 2 * var(--nibble-offset, 1rem)));
    height: min(var(--nibble-height, 40rem), calc(100dvh - 4.5rem - 2 * var(--nibble-offset, 1rem)));
    box-shadow:
      0 2px 6px rgb(0 0 0 / 0.08),
      0 12px 40px rgb(0 0 0 / 0.18);
    transform-origin: bottom right;
    animation: appear 0.16s ease-out;
  }
  dialog.panel:not([open]) {
    display: none;
  }
  .bottom-left dialog {
    transform-origin: bottom left;
  }
  .top-right dialog {
    transform-origin: top right;
  }
  .top-left dialog {
    transform-origin: top left;
  }
  @keyframes appear {
    from {
      opacity: 0;
      transform: scale(0.96) translateY(8px);
    }
  }
  dialog.panel:modal {
    position: fixed;
    inset: 0;
    width: 100%;
    height: 100dvh;
    border: 0;
    border-radius: 0;
    box-shadow: none;
    padding-bottom: max(1rem, env(safe-area-inset-bottom));
  }
  button.launcher {
    position: relative;
    display: grid;
    place-items: center;
    flex: none;
    width: 3.5rem;
    height: 3.5rem;
    padding: 0;
    box-shadow:
      0 1px 3px rgb(0 0 0 / 0.16),
      0 6px 20px rgb(0 0 0 / 0.2);
    transition: transform 0.15s;
  }
  button.launcher:hover {
    transform: scale(1.05);
  }
  button.launcher svg {
    width: 1.6rem;
    height: 1.6rem;
  }
  .launcher ::slotted(*) {
    max-width: 2rem;
    max-height: 2rem;
  }
  .badge {
    position: absolute;
    top: -0.2rem;
    inset-inline-end: -0.2rem;
    min-width: 1.35rem;
    padding: 0 0.35rem;
    border-radius: 999px;
    font-size: 0.75rem;
    line-height: 1.35rem;
    font-weight: 700;
    font-variant-numeric: tabular-nums;
    color: var(--_background);
    background: var(--_danger);
    outline: 2px solid var(--_background);
  }
  @media (forced-colors: active) {
    button.launcher,
    .badge {
      border: 1px solid ButtonText;
    }
  }
`;
