import { css, html, nothing } from 'lit';
import { property } from 'lit/decorators.js';
import type { ChatSession } from '../ui/conversation/session';
import { defineElement } from '../ui/define-element';
import { type ModelChoice, modelName } from '../ui/models/model-choice';
import { SpokenElement } from '../ui/spoken-element';
import { theme } from '../ui/theme';
import { EN_CONVERSATIONS } from '../ui/words/en-conversations';
import { teach } from '../ui/words/words';
import type { KeptChat, NamedModel } from './kept-chat';

teach(EN_CONVERSATIONS);

/** One line about the conversation on show: who writes it, what is kept of it, which model it was held with. */
export class ConversationNotice extends SpokenElement {
  @property({ attribute: false }) kept!: KeptChat;
  @property({ attribute: false }) session!: ChatSession;
  /** how a model that was named is loaded again */
  @property({ attribute: false }) choose: ((model: NamedModel) => ModelChoice) | null = null;

  static override styles = [
    theme,
    css`
      .notice {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.3rem 0.8rem;
        padding: 0.45rem 0.5rem 0.45rem 1rem;
        padding-inline: 1rem 0.5rem;
        margin-block-end: 0.75rem;
        min-height: 2.75rem;
        border-radius: var(--_radius);
        background: var(--_surface);
        font-size: 0.9375em;
      }
      .temporary {
        background: none;
        border: 1px dashed var(--_border);
      }
      span {
        flex: 1 1 16rem;
      }
    `,
  ];

  #changed = () => this.requestUpdate();
  /** an answer changes the session with every token, which is of no matter here */
  #loaded = () => {
    if (this.session.phase !== 'answering') this.requestUpdate();
  };

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has('kept')) this.kept.addEventListener('change', this.#changed);
    if (changed.has('session')) this.session.addEventListener('change', this.#loaded);
  }

  #load = (model: NamedModel) => {
    if (this.choose) void this.session.change(this.choose(model), null);
  };

  #said(sentence: string, button: unknown = nothing, kind = '') {
    return html`<div class="notice ${kind}" role="status"><span>${sentence}</span>${button}</div>`;
  }

  override render() {
    const { place, temporary, lost, otherModel } = this.kept;
    if (lost) {
      const close = html`<button @click=${() => this.kept.dismissLoss()}>${this.say('close')}</button>`;
      return this.#said(this.say(lost === 'missing' ? 'conversationMissing' : 'conversationDeletedElsewhere'), close);
    }
    if (place === 'elsewhere') {
      const take = html`<button @click=${() => this.kept.takeOver()}>${this.say('takeOver')}</button>`;
      return this.#said(this.say('openElsewhere'), take);
    }
    if (place === 'later') return this.#said(this.say('laterVersion'));
    if (temporary) return this.#said(this.say('temporaryHint'), nothing, 'temporary');
    const { phase, thread, choice } = this.session;
    if (place === 'nowhere' && thread.turns.length > 0) return this.#said(this.say('notKept'));
    if (!otherModel || phase === 'loading') return nothing;
    const model = modelName(otherModel.model);
    const load = html`<button @click=${() => this.#load(otherModel)}>${this.say('loadModel', { model })}</button>`;
    return this.#said(this.say('otherModel', { model, now: choice.name }), load);
  }
}

defineElement('nibble-conversation-notice', ConversationNotice);
