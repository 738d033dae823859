/**
 * The look, as custom properties that a page may set on any ancestor (`--nibble-accent` and so on), each with a light
 * and a dark default. One accent; the system's font. `--nibble-text-size` is the size of plain text, and
 * `--nibble-direction` the direction of the language that is spoken: `ltr`, unless whoever chose the words says `rtl`.
 * Where the person has forced colours, they are the system's.
 */
import { css } from 'lit';

export const theme = css`
  :host {
    box-sizing: border-box;
    --_accent: var(--nibble-accent, light-dark(#0d6b5e, #5fd3bf));
    --_on-accent: var(--nibble-on-accent, light-dark(#ffffff, #06231e));
    --_background: var(--nibble-background, light-dark(#ffffff, #131615));
    --_surface: var(--nibble-surface, light-dark(#f3f5f4, #1d2220));
    --_text: var(--nibble-text, light-dark(#1a1f1d, #e8ecea));
    --_muted: var(--nibble-muted, light-dark(#5b6662, #98a5a0));
    --_border: var(--nibble-border, light-dark(#dde3e0, #2e3532));
    --_danger: var(--nibble-danger, light-dark(#a32a1d, #ff9d8f));
    --_radius: var(--nibble-radius, 14px);
    --_font: var(--nibble-font, system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif);
    --_mono: var(--nibble-mono, ui-monospace, 'SF Mono', Menlo, Consolas, monospace);
    font: var(--nibble-text-size, 16px) / 1.6 var(--_font);
    color: var(--_text);
    /* none of what a page says of its own text */
    direction: var(--nibble-direction, ltr);
    letter-spacing: normal;
    text-align: start;
    text-indent: 0;
    text-transform: none;
    white-space: normal;
    word-spacing: normal;
  }
  :host([hidden]) {
    display: none;
  }
  * {
    box-sizing: border-box;
  }
  button {
    font: inherit;
    color: inherit;
    cursor: pointer;
    border: 1px solid var(--_border);
    border-radius: 999px;
    background: none;
    padding: 0.4em 1em;
    transition:
      background 0.15s,
      border-color 0.15s;
  }
  button:hover {
    border-color: var(--_accent);
  }
  button.primary {
    color: var(--_on-accent);
    background: var(--_accent);
    border-color: transparent;
    font-weight: 600;
  }
  button.primary:hover {
    background: color-mix(in oklab, var(--_accent) 88%, var(--_text));
  }
  button:disabled {
    opacity: 0.45;
    cursor: default;
  }
  :focus-visible {
    outline: 2px solid var(--_accent);
    outline-offset: 2px;
  }
  /* joined letters stay joined */
  :lang(ar) {
    letter-spacing: normal !important;
  }
  .muted {
    color: var(--_muted);
    font-size: 0.875em;
  }
  .unseen {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  @media (forced-colors: active) {
    :host {
      --_accent: Highlight;
      --_on-accent: HighlightText;
      --_background: Canvas;
      --_surface: Canvas;
      --_text: CanvasText;
      --_muted: CanvasText;
      --_border: CanvasText;
      --_danger: CanvasText;
    }
    button:disabled {
      opacity: 1;
      color: GrayText;
    }
    /* the one to press is told by more than its colour */
    button.primary {
      color: ButtonText;
      background: ButtonFace;
      border: 2px solid ButtonText;
    }
  }
  @media (prefers-reduced-motion: reduce) {
    *,
    *::before,
    *::after {
      animation: none !important;
      transition: none !important;
      scroll-behavior: auto !important;
    }
  }
`;
