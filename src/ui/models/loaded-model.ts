import { css, html, nothing } from 'lit';
import { property } from 'lit/decorators.js';
import type { ChatSession } from '../conversation/session';
import { defineElement } from '../define-element';
import { formatMemory } from '../format';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';

/** The model that is in memory on this device, and what takes it out. Event: `loaded`, when it is in or out. */
export class LoadedModel extends SpokenElement {
  @property({ attribute: false }) session!: ChatSession;

  static override styles = [
    theme,
    css`
      section {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.4rem 1rem;
        padding: 0.7rem 1rem;
        border-radius: var(--_radius);
        background: var(--_surface);
      }
      div {
        flex: 1 1 9rem;
        min-width: 0;
        overflow-wrap: anywhere;
      }
      h3 {
        font-size: 1rem;
        font-weight: 600;
        margin: 0;
      }
      p {
        margin: 0;
      }
      button {
        background: var(--_background);
      }
    `,
  ];

  #changed = () => this.requestUpdate();

  override connectedCallback() {
    super.connectedCallback();
    this.session?.addEventListener('change', this.#changed);
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.session.removeEventListener('change', this.#changed);
  }

  override willUpdate(changed: Map<string, unknown>) {
    if (!changed.has('session')) return;
    (changed.get('session') as ChatSession | undefined)?.removeEventListener('change', this.#changed);
    this.session.addEventListener('change', this.#changed);
  }

  async #do(action: () => Promise<void>) {
    await action();
    this.dispatchEvent(new Event('loaded'));
  }

  override render() {
    const { say, session } = this;
    const { info, memory, phase, unloaded, choice } = session;
    const { name } = choice;
    const isHere = info?.source === 'device';
    // while it is loaded, too: what has the focus stays
    if (!isHere && !unloaded && phase !== 'loading') return nothing;
    const facts = () => {
      if (phase === 'loading') return say('working');
      const place = info?.backend === 'webgpu' ? 'WebGPU' : 'CPU';
      return isHere
        ? `${place}${memory ? ` · ${formatMemory(memory.total, this.language)}` : ''}`
        : say('unloadedModel');
    };
    const stop = async () => session.stop();
    const action = () => this.#do(phase === 'loading' ? stop : () => (isHere ? session.unload() : session.load(true)));
    const [does, doesTo] =
      phase === 'loading'
        ? (['stop', 'stop'] as const)
        : isHere
          ? (['unload', 'unloadNamed'] as const)
          : (['load', 'loadNamed'] as const);
    return html`<section aria-labelledby="name">
      <div>
        <h3 id="name">${name}</h3>
        <p class="muted" role="status">${facts()}</p>
      </div>
      <button aria-label=${say(doesTo, { name })} @click=${action}>${say(does)}</button>
    </section>`;
  }
}

defineElement('nibble-loaded', LoadedModel);
