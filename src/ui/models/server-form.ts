import { css, html, nothing } from 'lit';
import { query, state } from 'lit/decorators.js';
import { asNibbleError, type NibbleError } from '../../errors';
import '../conversation/error-notice';
import { defineElement } from '../define-element';
import { SpokenElement } from '../spoken-element';
import { textField } from '../text-field';
import { theme } from '../theme';
import { agreedServers, agreeTo, modelsOf, revoke, type ServerChoice, serverAddress } from './servers';

/**
 * A server that answers in the place of a model here: its address, and what the person agrees to before anything is
 * sent. Event: `server` (ServerChoice).
 */
export class ServerForm extends SpokenElement {
  @state() private agreed = agreedServers();
  @state() private busy = false;
  @state() private error: NibbleError | null = null;
  /** the server that was asked, and what it lists */
  @state() private listed: { url: string; key?: string; models: string[] } | null = null;
  /** as it is typed */
  @state() private host = '';
  @query('[name=address]') private address!: HTMLInputElement;
  @query('[name=key]') private key!: HTMLInputElement;

  static override styles = [
    theme,
    textField,
    css`
      :host,
      form {
        display: grid;
        gap: 0.6rem;
      }
      .row {
        display: flex;
        flex-wrap: wrap;
        align-items: end;
        gap: 0.6rem 0.75rem;
      }
      label.field {
        display: grid;
        gap: 0.3rem;
        flex: 2 1 13rem;
        font-size: 0.9375em;
      }
      label.field + label.field {
        flex: 1 1 9rem;
      }
      .field input {
        font-size: 1rem;
        width: 100%;
      }
      .agree {
        display: flex;
        gap: 0.6rem;
        font-size: 0.9375em;
        padding: 0.7rem 0.9rem;
        border-radius: var(--_radius);
        background: var(--_surface);
      }
      .agree input {
        flex: none;
        margin: 0.35em 0 0;
        accent-color: var(--_accent);
      }
      p {
        margin: 0;
      }
      .agreed {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.4rem 0.75rem;
        overflow-wrap: anywhere;
      }
      form button {
        justify-self: start;
      }
    `,
  ];

  async #ask(url: string, key?: string) {
    Object.assign(this, { busy: true, error: null, listed: null });
    try {
      this.listed = { url, key, models: await modelsOf(url, key) };
    } catch (thrown) {
      this.error = asNibbleError(thrown, 'network');
    }
    this.busy = false;
  }

  #connect(event: Event) {
    event.preventDefault();
    try {
      const url = serverAddress(this.address.value);
      agreeTo(url);
      this.agreed = agreedServers();
      void this.#ask(url, this.key.value.trim() || undefined);
    } catch (thrown) {
      this.error = asNibbleError(thrown, 'invalid-option');
    }
  }

  #revoke(url: string) {
    revoke(url);
    Object.assign(this, { agreed: agreedServers(), listed: null });
    this.dispatchEvent(new CustomEvent('revoke', { detail: url }));
  }

  #type = () => {
    try {
      this.host = new URL(serverAddress(this.address.value)).host;
    } catch {
      this.host = '';
    }
  };

  #models() {
    const { listed, say } = this;
    if (!listed) return nothing;
    const { url, key, models } = listed;
    const choose = (model: string) => {
      const detail: ServerChoice = { url, model, ...(key && { key }) };
      this.dispatchEvent(new CustomEvent('server', { detail }));
    };
    return html`<p>${say('serverModels', { host: new URL(url).host })}</p>
      <div class="agreed">${models.map((model) => html`<button @click=${() => choose(model)}>${model}</button>`)}</div>`;
  }

  override render() {
    const { say, agreed } = this;
    return html`<p class="muted">${say('serverWhat')}</p>
      ${agreed.map(
        (url) =>
          html`<div class="agreed">
            <span>${url}</span>
            <button aria-label=${say('serverUse', { url })} @click=${() => this.#ask(url)}>${say('serverConnect')}</button>
            <button aria-label=${say('serverRevokeNamed', { url })} @click=${() => this.#revoke(url)}>
              ${say('serverRevoke')}
            </button>
          </div>`,
      )}
      <form @submit=${this.#connect}>
        <div class="row">
          <label class="field"
            >${say('serverAddress')}
            <input name="address" required autocomplete="off" spellcheck="false" placeholder="https://host/v1" @input=${this.#type}
          /></label>
          <label class="field">${say('serverKey')} <input name="key" type="password" autocomplete="off" /></label>
        </div>
        <label class="agree"
          ><input type="checkbox" required />
          <span>${this.host ? say('serverAgree', { host: this.host }) : say('serverAgreeAny')}</span></label
        >
        <button type="submit" ?disabled=${this.busy}>${say('serverConnect')}</button>
      </form>
      <div role="status">${this.busy ? say('serverAsking') : this.#models()}</div>
      <nibble-error .error=${this.error} fatal></nibble-error>`;
  }
}

defineElement('nibble-server-form', ServerForm);
