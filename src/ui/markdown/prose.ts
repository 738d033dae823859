/** How Markdown looks, wherever it is shown. The colours of code have a contrast of 4.5 at least on either surface. */
import { css } from 'lit';

export const prose = css`
  .piece {
    white-space: pre-wrap;
    content-visibility: auto;
    contain-intrinsic-size: auto 60rem;
  }
  h1,
  h2,
  h3,
  h4,
  h5,
  h6 {
    font-size: 1.05em;
    line-height: 1.3;
    margin: 1.2em 0 0.5em;
  }
  p,
  ul,
  ol,
  pre,
  blockquote,
  table {
    margin: 0.7em 0;
  }
  ul,
  ol {
    padding: 0;
  }
  /* an item's marker is on the side of its own direction */
  li {
    margin-inline-start: 1.4em;
  }
  /* "100." is wider than a bullet */
  ol > li {
    margin-inline-start: 2.1em;
  }
  li + li {
    margin-top: 0.25em;
  }
  code {
    font: 0.9em var(--_mono);
    background: var(--_surface);
    border-radius: 5px;
    padding: 0.1em 0.35em;
  }
  pre {
    overflow-x: auto;
    padding: 0.9rem 1rem;
    border-radius: var(--_radius);
    background: var(--_surface);
  }
  pre code {
    background: none;
    padding: 0;
    overflow-wrap: normal;
  }
  .code {
    margin: 0.7em 0;
    border-radius: var(--_radius);
    background: var(--_surface);
    overflow: hidden;
  }
  nibble-code-head {
    /* before it is there, too */
    display: flex;
    align-items: center;
    justify-content: space-between;
    gap: 1rem;
    min-height: 2.4rem;
    padding: 0.35rem 0.5rem 0.1rem 1rem;
  }
  .code pre {
    margin: 0;
    padding-top: 0.3rem;
    background: none;
    border-radius: 0 0 var(--_radius) var(--_radius);
  }
  /* a box that goes on from the one before it */
  .code:has(+ .more) {
    margin-bottom: 0;
    border-end-start-radius: 0;
    border-end-end-radius: 0;
  }
  .code.more {
    margin-top: 0;
    border-start-start-radius: 0;
    border-start-end-radius: 0;
  }
  .lines {
    display: block;
  }
  code .comment {
    color: light-dark(#5a6562, #98a5a0);
    font-style: italic;
  }
  code .keyword {
    color: light-dark(#8a2680, #f0a0e4);
  }
  code .string,
  code .addition {
    color: light-dark(#1c6b24, #8fd694);
  }
  code .number {
    color: light-dark(#8f4a00, #f2b36e);
  }
  code .title {
    color: light-dark(#0b5a9c, #86c3ff);
  }
  code .type {
    color: light-dark(#0d6066, #72d2d8);
  }
  code .name {
    color: light-dark(#6a4a9c, #c9b0f5);
  }
  code .meta {
    color: light-dark(#6b5a10, #dcc66a);
  }
  code .deletion {
    color: light-dark(#a32a1d, #ff9d8f);
  }
  .formula {
    display: block;
    overflow-x: auto;
    overflow-y: hidden;
    margin: 0.7em 0;
    padding-block: 0.2em;
  }
  math {
    font-family: 'Cambria Math', 'STIX Two Math', 'Latin Modern Math', 'Noto Sans Math', math;
    font-size: 1.06em;
    direction: ltr;
    overflow-wrap: normal;
  }
  math[display='block'] {
    display: block math;
    width: 100%;
  }
  .tml-right {
    text-align: right;
  }
  .tml-left {
    text-align: left;
  }
  .tml-overline {
    border-top: 0.065em solid;
  }
  .tml-underline {
    border-bottom: 0.065em solid;
  }
  .tml-fbox {
    border: 1px solid;
    padding: 0.2em;
  }
  blockquote {
    margin-inline: 0;
    padding-inline-start: 1em;
    border-inline-start: 3px solid var(--_border);
    color: var(--_muted);
  }
  .table {
    margin: 0.7em 0;
    overflow-x: auto;
  }
  .table table {
    margin: 0;
    border-collapse: collapse;
    /* words stay whole, and the region scrolls */
    overflow-wrap: break-word;
  }
  th,
  td {
    text-align: start;
    vertical-align: top;
    padding-block: 0.3em;
    padding-inline: 0 1.2em;
    border-bottom: 1px solid var(--_border);
    max-width: 28rem;
  }
  td.left,
  th.left {
    text-align: left;
  }
  td.center,
  th.center {
    text-align: center;
  }
  td.right,
  th.right {
    text-align: right;
  }
  a {
    color: var(--_accent);
  }
`;
