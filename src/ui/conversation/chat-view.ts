import { css, html, nothing } from 'lit';
import { property, query } from 'lit/decorators.js';
import '../composer/composer';
import './error-notice';
import './message-list';
import './progress-bar';
import './stats-line';
import type { Composer, Sent } from '../composer/composer';
import type { ComposerTools } from '../composer/composer-tools';
import type { Draft } from '../composer/draft';
import { defineElement } from '../define-element';
import { formatBytes, formatMemory } from '../format';
import { SpokenElement } from '../spoken-element';
import { theme } from '../theme';
import type { Cut } from './cut';
import type { Act } from './message-bar';
import type { MessageList } from './message-list';
import type { ChatSession, Extra } from './session';

const MIB = 2 ** 20;

/**
 * A session on the screen, from the offer to load the model, through its download, to the conversation. The chat page
 * and the widget are this element with something around it. Slot `intro` stands above the offer, slot `cost` in it,
 * slot `notice` above the composer.
 * Event: `budget` (bytes), when the person allows what an error says is needed.
 */
export class ChatView extends SpokenElement {
  @property({ attribute: false }) session!: ChatSession;
  @property({ attribute: false }) starters: readonly string[] = [];
  /** of the composer; empty: as it has it */
  @property() placeholder = '';
  /** what is said is shown, and nothing is said or changed here */
  @property({ type: Boolean }) readonly = false;
  /** what was written in this conversation and not sent; the composer's event `draft` says what it is now */
  @property({ attribute: false }) draft: Draft | null = null;
  /** what the composer can do beyond text */
  @property({ attribute: false }) tools: ComposerTools | null = null;
  @query('nibble-composer') private composer?: Composer;

  static override styles = [
    theme,
    css`
      :host {
        display: flex;
        flex-direction: column;
        min-height: 0;
        gap: 0.75rem;
      }
      .middle {
        flex: 1;
        min-height: 0;
        display: grid;
        align-content: safe center;
        gap: 1.25rem;
        overflow-y: auto;
      }
      nibble-messages {
        flex: 1;
        min-height: 0;
        /* what stands out of the text, as a ring of focus does, is not cut */
        margin-inline: -0.5rem;
        padding-inline: 0.5rem;
      }
      .card {
        display: grid;
        gap: 1rem;
        padding: 1.4rem;
        border: 1px solid var(--_border);
        border-radius: calc(var(--_radius) + 4px);
      }
      .card > * {
        margin: 0;
      }
      .name {
        font-weight: 600;
        overflow-wrap: anywhere;
      }
      .actions {
        display: flex;
        align-items: center;
        gap: 1rem;
        flex-wrap: wrap;
      }
      .said {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.3rem 0.8rem;
        margin: 0;
        color: var(--_muted);
        font-size: 0.875em;
      }
      .starters {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(min(15rem, 100%), 1fr));
        gap: 0.6rem;
        padding: 0;
        margin: 0;
        list-style: none;
      }
      .starters button {
        width: 100%;
        height: 100%;
        text-align: start;
        padding: 0.8rem 1rem;
        border-radius: var(--_radius);
      }
    `,
  ];

  #changed = () => this.requestUpdate();

  override willUpdate(changed: Map<string, unknown>) {
    if (!changed.has('session')) return;
    (changed.get('session') as ChatSession | undefined)?.removeEventListener('change', this.#changed);
    this.session.addEventListener('change', this.#changed);
  }

  override focus() {
    this.composer?.focus();
  }

  /** Scrolls to a message, such as one that was searched for. */
  async reveal(id: string): Promise<boolean> {
    await this.updateComplete;
    return (await this.renderRoot.querySelector<MessageList>('nibble-messages')?.reveal(id)) ?? false;
  }

  /** Attaches files to the question that is being written, and puts a text below it. */
  async attach(files: readonly File[], text?: string): Promise<void> {
    await this.updateComplete;
    await this.composer?.attach(files, text);
  }

  async #ask(question: string, extra: Extra = {}) {
    const answered = this.session.ask(question, extra);
    this.focus();
    await answered;
  }

  #retry = () => void this.session.retry();

  #offer() {
    const { preview, choice, unloaded } = this.session;
    if (preview === null) return html`<p class="muted">${this.say('lookingAtModel')}</p>`;
    const size = preview.bytes === null ? null : formatBytes(preview.bytes, this.language);
    return html`<div class="card" part="card">
      ${unloaded && preview.here ? html`<p role="status">${this.say('unloadedModel')}</p>` : nothing}
      <p><span class="name" part="model">${choice.name}</span><br />
        <span class="muted" data-size=${preview.bytes ?? ''}>${
          preview.here
            ? this.say('modelIsHere')
            : size === null
              ? this.say('downloadUnknown')
              : this.say('downloadOnce', { size })
        }</span></p>
      ${preview.lastAttempt ? html`<p role="status" data-attempt>${preview.lastAttempt.message}</p>` : nothing}
      <slot name="cost"></slot>
      <div class="actions">
        <button class="primary" part="load" @click=${() => void this.session.load(true)}>
          ${preview.here || size === null ? this.say('load') : this.say('loadSize', { size })}
        </button>
        ${this.#goBack()}
      </div>
    </div>`;
  }

  #loading() {
    return html`<div class="card" part="card">
      <p class="name">${this.session.choice.name}</p>
      <nibble-progress exportparts="progress" .progress=${this.session.progress}></nibble-progress>
      <div class="actions"><button @click=${() => this.session.stop()}>${this.say('stop')}</button></div>
    </div>`;
  }

  /** While an answer waits for those of other tabs. */
  #ahead() {
    const { phase, ahead } = this.session;
    if (phase !== 'answering' || ahead === 0) return nothing;
    return html`<p class="said" role="status" data-ahead=${ahead}>${this.say('otherTabAnswers', { count: ahead })}</p>`;
  }

  /** While an answer waits for a model that is loaded again. */
  #recovering() {
    const { phase, progress } = this.session;
    if (phase !== 'answering' || !progress || progress.phase === 'ready') return nothing;
    return html`<nibble-progress role="status" exportparts="progress" .progress=${progress}></nibble-progress>`;
  }

  /** The page's functions that run for the answer under way. */
  #calls() {
    return this.session.calls.map(
      ({ name }) =>
        html`<p class="said" role="status" part="tool" data-call=${name}>${this.say('toolRuns', { name })}</p>`,
    );
  }

  /** Below the last answer: what the engine says of it, and why it is not whole. */
  #below() {
    const { cut, way, phase } = this.session;
    const last = way.at(-1);
    if (!last || phase === 'answering') return nothing;
    return html`${last.note ? html`<p class="said" data-stat="note">${last.note}</p>` : nothing}${cut ? this.#cut(cut) : nothing}`;
  }

  #cut({ finish, ids }: Cut) {
    const { messages, phase } = this.session;
    const none = messages.at(-1)?.role === 'user';
    const why = () => {
      if (none) return this.say('stoppedBefore');
      if (finish === 'loop') return this.say('answerLooped');
      if (finish === 'aborted') return this.say('answerStopped');
      return ids ? this.say('answerStoppedAt', { count: ids.length }) : this.say('answerReachedLimit');
    };
    const again = { what: 'penalty' } as const;
    return html`<p class="said" data-cut=${finish}>
      <span>${why()}</span>
      ${
        phase !== 'ready' || this.readonly
          ? nothing
          : finish === 'loop'
            ? html`<button @click=${() => this.#act(again)}>${this.say('withPenalty')}</button>`
            : html`<button @click=${() => this.#act({ what: 'continue' })}>
                ${this.say(none ? 'answerNow' : 'continueAnswer')}
              </button>`
      }
    </p>`;
  }

  /** What the person wants done with a message. */
  #act = async (act: Act) => {
    if (this.readonly && act.what !== 'show') return;
    const { session } = this;
    if (act.what === 'again') await session.answerAnew(act.id);
    else if (act.what === 'continue') await session.continue();
    else if (act.what === 'penalty')
      await session.answerAnew(session.way.at(-1)?.id ?? '', { anew: true, penalty: true });
    else if (act.what === 'show') await session.show(act.id);
    else if (act.what === 'say') await session.edit(act.id, act.text);
    else if (act.what === 'remove') await session.remove(act.id);
    // where nothing is left to have the focus
    if (session.messages.length === 0) this.focus();
  };

  /** After "New chat", and after messages were deleted. */
  #undo() {
    const { closed, messages, removed } = this.session;
    const undo = (said: string, action: () => void) => html`<p class="said" role="status">
      ${said} <button @click=${action}>${this.say('undo')}</button>
    </p>`;
    if (removed !== null) return undo(this.say('messagesDeleted', { count: removed }), () => this.session.undoRemove());
    if (!closed || messages.length > 0) return nothing;
    return undo(this.say('thisIsNew'), () => this.session.undoNewChat());
  }

  /** After an error of the memory limit: the one that would do. */
  #allow() {
    const { code, details } = this.session.error ?? {};
    const enough = Number(details?.enough);
    if (code !== 'out-of-memory' || !(enough > Number(details?.budget ?? Infinity))) return nothing;
    const detail = Math.ceil(enough / MIB) * MIB;
    const allow = () => {
      this.dispatchEvent(new CustomEvent('budget', { detail, bubbles: true, composed: true }));
      void this.session.allow(detail);
    };
    return html`<button slot="actions" @click=${allow}>${this.say('allowMemory', { memory: formatMemory(detail, this.language) })}</button>`;
  }

  #error() {
    const { error, previous, phase } = this.session;
    const noRoom = error?.code === 'quota-exceeded' && phase === 'idle';
    return html`<nibble-error
      exportparts="error"
      .error=${error}
      ?fatal=${error?.code === 'invalid-option'}
      @retry=${this.#retry}
    >
      ${previous ? html`<p class="muted">${this.say('madeRoom', { model: previous.choice.name })}</p>` : nothing}
      ${
        noRoom
          ? html`<button slot="actions" @click=${() => void this.session.loadWithoutRoom()}>${this.say('loadWithoutKeeping')}</button>`
          : nothing
      }
      ${this.#allow()}
      ${this.#goBack('actions')}
    </nibble-error>`;
  }

  #goBack(slot?: string) {
    const { previous } = this.session;
    if (!previous) return nothing;
    const { choice, preview } = previous;
    return html`<button slot=${slot ?? nothing} @click=${() => void this.session.change(choice, preview)}>
      ${this.say('backTo', { model: choice.name })}
    </button>`;
  }

  #starters() {
    return html`<ul class="starters">
      ${this.starters.map((text) => html`<li><button @click=${() => void this.#ask(text)}>${text}</button></li>`)}
    </ul>`;
  }

  /** The way to a loaded model, while there is none. */
  #model() {
    const { phase, error } = this.session;
    return phase === 'loading' ? this.#loading() : phase === 'idle' && !error ? this.#offer() : nothing;
  }

  #middle() {
    const { phase, way, thread, prefill, waiting, slow } = this.session;
    if (way.length > 0 || waiting.length > 0) {
      return html`<nibble-messages
        exportparts="user, assistant"
        .turns=${way}
        .thread=${thread}
        .prefill=${prefill}
        .waiting=${waiting}
        .slow=${slow}
        ?busy=${phase === 'answering'}
        ?readonly=${this.readonly}
        @withdraw=${({ detail }: CustomEvent<string>) => this.session.withdraw(detail)}
        @anyway=${({ detail }: CustomEvent<string>) => this.session.sendAnyway(detail)}
        @act=${({ detail }: CustomEvent<Act>) => void this.#act(detail)}
        >${this.#calls()}${this.#below()}</nibble-messages>`;
    }
    return html`<div class="middle">
      <slot name="intro"></slot>
      ${phase === 'ready' || phase === 'answering' ? this.#starters() : this.#model()}
    </div>`;
  }

  /** It is there from the beginning: what is asked before the model is here waits for it. */
  #composer() {
    const { phase, error } = this.session;
    // what the address bar asks for is refused: there will be no model
    if (phase === 'idle' && error?.code === 'invalid-option') return nothing;
    return html`<nibble-composer
      exportparts="composer"
      ?disabled=${this.readonly}
      placeholder=${this.placeholder}
      ?busy=${phase === 'answering'}
      .history=${this.#asked()}
      .draft=${this.draft}
      .tools=${this.tools}
      .info=${this.session.info}
      .countTokens=${this.session.countTokens}
      @send=${({ detail }: CustomEvent<Sent>) => void this.#ask(detail.text, detail)}
      @stop=${() => this.session.stop()}
    ></nibble-composer>`;
  }

  /** What the person asked, for the composer to recall. */
  #asked(): string[] {
    const asked = this.session.way.filter(({ message }) => message.role === 'user');
    return asked.map(({ question, message }) => question ?? message.content);
  }

  override render() {
    const { phase, messages, waiting, info, memory } = this.session;
    const usable = phase === 'ready' || phase === 'answering';
    return html`
      ${this.#middle()}
      ${this.#ahead()}
      ${this.#recovering()}
      ${this.#undo()}
      ${this.#error()}
      ${messages.length > 0 || waiting.length > 0 ? this.#model() : nothing}
      <slot name="notice"></slot>
      ${this.#composer()}
      ${usable ? html`<nibble-stats exportparts="stats" .info=${info} .memory=${memory}></nibble-stats>` : nothing}
    `;
  }
}

defineElement('nibble-view', ChatView);
