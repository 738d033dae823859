/** How a button with an icon alone looks on the page. */
import { css } from 'lit';

export const iconButton = css`
  .icon {
    flex: none;
    display: grid;
    place-items: center;
    width: 2.25rem;
    height: 2.25rem;
    padding: 0;
    border-color: transparent;
    border-radius: 10px;
    color: var(--_muted);
  }
  .icon:hover {
    background: color-mix(in oklab, var(--_text) 7%, transparent);
    color: var(--_text);
  }
`;
