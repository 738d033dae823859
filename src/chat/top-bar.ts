import { css, html } from 'lit';
import { property } from 'lit/decorators.js';
import type { ChatSession } from '../ui/conversation/session';
import { defineElement } from '../ui/define-element';
import { formatMemory } from '../ui/format';
import { SpokenElement } from '../ui/spoken-element';
import { theme } from '../ui/theme';
import type { Say } from '../ui/words/words';

/** The model that is loaded, or was: what it is called, where it runs, and what it holds; '' for what is not known. */
export function modelFacts(session: ChatSession | null, say: Say, language: string): { name: string; facts: string } {
  const { info, memory, unloaded } = session ?? {};
  const name = info || unloaded ? session!.choice.name : '';
  const place = info?.source === 'server' ? say('onServer') : info?.backend === 'webgpu' ? 'WebGPU' : 'CPU';
  return { name, facts: info ? place + (memory ? ` · ${formatMemory(memory.total, language)}` : '') : '' };
}

/** The model that answers, where it runs and what it holds; a press opens the models. Event: `models`. */
export class TopBar extends SpokenElement {
  @property({ attribute: false }) session: ChatSession | null = null;

  static override styles = [
    theme,
    css`
      :host {
        min-width: 0;
      }
      button {
        display: flex;
        align-items: baseline;
        gap: 0.6rem;
        max-width: min(24rem, 50vw);
        white-space: nowrap;
      }
      .name {
        overflow: hidden;
        text-overflow: ellipsis;
      }
      @media (max-width: 719px) {
        .muted {
          display: none;
        }
      }
    `,
  ];

  /** A page has one session. */
  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has('session')) this.session?.addEventListener('change', () => this.requestUpdate());
  }

  override render() {
    const { session } = this;
    const models = this.say('models');
    const { name, facts } = modelFacts(session, this.say, this.language);
    return html`<button
      aria-haspopup="dialog"
      ?disabled=${!session}
      @click=${() => this.dispatchEvent(new Event('models'))}
    >
      <span class="unseen" ?hidden=${!name}>${models}: </span><span class="name">${name || models}</span
      ><span class="muted" ?hidden=${!facts}>${facts}</span>
    </button>`;
  }
}

defineElement('nibble-top-bar', TopBar);
