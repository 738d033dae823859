/** The widget's one script: defines <nibble-chat>, where the page lets it draw anything. */
import { html, render } from 'lit';
import { defineElement } from '../ui/define-element';
import { NibbleChat } from './nibble-chat';

/** In the place of the chat, where Trusted Types are demanded and lit may not make any. */
class Refused extends HTMLElement {
  connectedCallback() {
    this.textContent =
      "This page's Content-Security-Policy demands Trusted Types and forbids what the chat makes them with: allow `trusted-types nibble lit-html`.";
  }
}

let canDraw = true;
try {
  render(html`<p></p>`, new DocumentFragment());
} catch (error) {
  canDraw = false;
  console.error('nibble-chat cannot be drawn:', error);
}
defineElement('nibble-chat', canDraw ? NibbleChat : Refused);
