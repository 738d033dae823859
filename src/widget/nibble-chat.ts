/**
 * The element `<nibble-chat>`. It is long because its properties, its methods and what it draws are one element's.
 */
import { html, type LitElement, nothing, type PropertyValues } from 'lit';
import { property, query, state } from 'lit/decorators.js';
import { type Engine, isStored, load, type Tool } from '../engine';
import { asNibbleError, NibbleError } from '../errors';
import type { ChatMessage } from '../protocol';
import '../ui/conversation/chat-view';
import type { ChatView } from '../ui/conversation/chat-view';
import { previewModel } from '../ui/conversation/preview';
import { ChatSession, type Hooks } from '../ui/conversation/session';
import { EMPTY_THREAD, type Thread, threadOf, wayOf } from '../ui/conversation/thread';
import { modelName } from '../ui/models/model-choice';
import { parseModel } from '../ui/options';
import { SpokenElement } from '../ui/spoken-element';
import { theme } from '../ui/theme';
import { EN_WIDGET } from '../ui/words/en-widget';
import { chooseLanguage, wordsOf } from '../ui/words/languages';
import { teach, Vocabulary, type Words } from '../ui/words/words';
import { askFor, withdrawAsked } from './asking';
import * as read from './attributes';
import type { NibbleChatElement, NibbleChatEvents } from './element';
import { CHAT, MINIMISE, NEW_CHAT } from './icons';
import { Keeping } from './keeping';
import { panelStyles } from './panel-styles';
import { partIn, SharedEngines } from './shared-engines';
import { Told } from './told';

teach(EN_WIDGET);

/** of all elements on the page */
const engines = new SharedEngines(load);

/** Under this width a panel takes the whole screen. */
const PHONE = '(max-width: 479.98px)';

/** How long what was kept is waited for, ms. */
const RECALL_MS = 1500;

type Detail<Type extends keyof NibbleChatEvents> = NibbleChatEvents[Type]['detail'];

/**
 * `<nibble-chat model="https://example.org/models/name/">`: a chat with a model that runs in the visitor's browser.
 * Nothing is fetched before the visitor opens it, and no weights before they have seen how many megabytes they are.
 * Several with the same model and options share one worker, and have a conversation each. One that is moved in the page
 * goes on; one that is taken out ends its part, and the last one the worker.
 *
 * Every option of the engine and of an answer (ui/options.ts) is an attribute, too. Attributes are read when the
 * visitor opens the chat; a value that cannot be counts for its default, and the console names it (attributes.ts).
 *
 * @slot header - the title, in the place of `heading`
 * @slot avatar - a picture before the title
 * @slot footer - below the field for a question: a notice, a link
 * @slot launcher - the picture on the launcher's button
 * @csspart panel - the box with the chat
 * @csspart open - the button that opens a box in the page
 * @csspart launcher - the button in a corner
 * @csspart badge - the number of unread answers on it
 * @csspart header - the line above the chat
 * @csspart avatar - what is before the title
 * @csspart title - the title
 * @csspart new-chat - the button for a new chat
 * @csspart minimise - the button that minimises
 * @csspart greeting - what the chat says first
 * @csspart card - the offer to load the model, and how far it is
 * @csspart model - the model's name in the offer
 * @csspart load - the button that loads
 * @csspart progress - how far the load is
 * @csspart user - a question
 * @csspart assistant - an answer
 * @csspart tool - a function of the page that runs
 * @csspart composer - the field for a question
 * @csspart stats - who answers, and what it takes
 * @csspart error - what went wrong
 * @cssprop [--nibble-accent=#0d6b5e, dark #5fd3bf] - buttons, links, focus
 * @cssprop [--nibble-on-accent=#ffffff, dark #06231e] - text on the accent
 * @cssprop [--nibble-background=#ffffff, dark #131615] - of the box
 * @cssprop [--nibble-surface=#f3f5f4, dark #1d2220] - of questions and code
 * @cssprop [--nibble-text=#1a1f1d, dark #e8ecea] - text
 * @cssprop [--nibble-muted=#5b6662, dark #98a5a0] - what matters less
 * @cssprop [--nibble-border=#dde3e0, dark #2e3532] - lines
 * @cssprop [--nibble-danger=#a32a1d, dark #ff9d8f] - errors, and the badge
 * @cssprop [--nibble-radius=14px] - of corners
 * @cssprop [--nibble-font=the system's] - of text
 * @cssprop [--nibble-mono=the system's, of fixed width] - of code
 * @cssprop [--nibble-text-size=16px] - of text
 * @cssprop [--nibble-direction=ltr] - set by the widget itself, as its language runs
 * @cssprop [--nibble-width=400px] - of the panel that a launcher opens
 * @cssprop [--nibble-height=640px] - of that panel; never more than the window has
 * @cssprop [--nibble-offset=16px] - of launcher and panel from the window's edges
 */
export class NibbleChat extends SpokenElement implements NibbleChatElement {
  /** what it says, and all that stands in it */
  readonly vocabulary = new Vocabulary();

  @property() model = '';
  @property() launcher = '';
  @property() heading = '';
  @property() placeholder = '';
  @property() greeting = '';
  @property() system = '';
  @property() starters = '';
  @property() keep = '';
  /** BCP 47: the language of what it says */
  @property({ reflect: true, useDefault: true }) override lang = '';
  @property({ attribute: 'color-scheme', reflect: true, useDefault: true }) colorScheme = '';
  @property({ attribute: false }) beforeSend: NibbleChatElement['beforeSend'] = null;
  @property({ attribute: false }) afterAnswer: NibbleChatElement['afterAnswer'] = null;

  @state() private session: ChatSession | null = null;
  @state() private shown = false;
  /** answers that ended while it was minimised */
  @state() private unread = 0;
  /** about attributes that were mistyped */
  @state() private notice = '';
  @query('nibble-view') private view?: ChatView;
  @query('.panel:not(.start)') private panel?: HTMLElement;
  @query('.float') private float?: HTMLElement;

  #engine: Engine | null = null;
  #given: Engine | null = null;
  /** what was said, while there is no session */
  #thread: Thread = EMPTY_THREAD;
  #keeping: Keeping | null = null;
  #tools: readonly Tool[] = [];
  #strings: NibbleChatElement['strings'] = {};
  /** those that were asked for last */
  #words: Promise<Partial<Words>> | null = null;
  readonly #told = new Told();
  readonly #phone = matchMedia(PHONE);
  #resized = () => this.requestUpdate();

  static override styles = [theme, panelStyles];

  @property({ attribute: false })
  get messages(): readonly ChatMessage[] {
    return this.session?.messages ?? wayOf(this.#thread).map(({ message }) => message);
  }

  set messages(messages: readonly ChatMessage[]) {
    if (!Array.isArray(messages) || !messages.every(read.isMessage))
      throw read.refused('messages', messages, "a list of { role: 'user' or 'assistant', content: a text }");
    this.#thread = threadOf(messages);
    this.session?.openThread(this.#thread, { settings: this.session.settings });
  }

  @property({ attribute: false })
  get engine(): Engine | null {
    return this.#given ?? (this.session?.info ? this.#engine : null);
  }

  set engine(engine: Engine | null) {
    if (engine === this.#given) return;
    this.#given = engine ?? null;
    if (!this.session) return;
    // what was said goes on with the other engine
    this.#end();
    void this.#begin();
  }

  @property({ attribute: false })
  get tools(): readonly Tool[] {
    return this.#tools;
  }

  set tools(tools: readonly Tool[]) {
    if (!Array.isArray(tools ?? []))
      throw read.refused('tools', tools, 'a list of objects: { name, description, parameters, run }');
    this.#tools = tools ?? [];
    if (this.session) this.session.tools = this.#tools;
  }

  @property({ attribute: false })
  get strings(): NibbleChatElement['strings'] {
    return this.#strings;
  }

  set strings(strings: NibbleChatElement['strings']) {
    this.#strings = read.readStrings(strings);
    void this.#speak();
  }

  /** In the language that is asked for, and with the page's own words. Until its file is here, in English. */
  async #speak() {
    const language = read.readLanguage(this.lang) || 'en';
    const words = wordsOf(chooseLanguage([language]));
    this.#words = words;
    this.vocabulary.speak(language, this.#strings as Partial<Words>);
    const theirs = await words.catch(() => ({}));
    if (this.#words === words && Object.keys(theirs).length > 0)
      this.vocabulary.speak(language, { ...theirs, ...(this.#strings as Partial<Words>) });
  }

  #announce<Type extends keyof NibbleChatEvents>(type: Type, detail: Detail<Type>) {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }

  /** What the attributes ask for. @throws NibbleError invalid-option: no model, or one that cannot be */
  #configure(): ChatSession {
    const given = this.getAttributeNames().map((name) => [name, this.getAttribute(name) ?? ''] as const);
    const options = { ...read.readOptions(given), system: read.readText(this.system) || undefined };
    if (this.#given) {
      const part = partIn(this.#given);
      return new ChatSession(async () => part, { choice: { model: '', name: '' }, ...options });
    }
    const model = parseModel(read.readText(this.model), document.baseURI, false);
    const loadShared = async (...asked: Parameters<typeof engines.load>) => {
      const part = await engines.load(...asked);
      this.#engine = part.whole;
      return part;
    };
    return new ChatSession(loadShared, { choice: { model, name: modelName(model) }, ...options });
  }

  async open(): Promise<void> {
    if (!this.shown) {
      this.shown = true;
      this.unread = 0;
      this.#announce('nibble-open', null);
      if (this.#corner) void this.#focusInside();
    }
    if (!this.session) await this.#begin();
  }

  close(): void {
    if (!this.shown) return;
    const hadFocus = this.#hasFocus;
    this.shown = false;
    this.#announce('nibble-close', null);
    if (hadFocus) void this.updateComplete.then(() => this.#opener?.focus());
  }

  async ask(text: string): Promise<ChatMessage> {
    if (typeof text !== 'string' || text.trim() === '') throw read.refused('text', text, 'a question');
    void this.open();
    if (!this.session) throw new NibbleError('disposed', 'This <nibble-chat> is in no page.');
    return askFor(this.session, text);
  }

  stop(): void {
    if (this.session) withdrawAsked(this.session);
    this.session?.stop();
  }

  clear(): void {
    this.#thread = EMPTY_THREAD;
    this.session?.newChat();
  }

  override focus() {
    if (this.shown) void this.#focusInside();
    else this.#opener?.focus();
  }

  get #corner() {
    return read.readCorner(this.launcher);
  }

  get #opener() {
    return this.renderRoot.querySelector<HTMLElement>('.opener');
  }

  get #hasFocus() {
    return Boolean(this.shadowRoot?.activeElement);
  }

  /** The field for a question; where there is none, the panel, from which Tab leads on. */
  async #focusInside() {
    await this.updateComplete;
    await this.view?.updateComplete;
    const composer = this.view?.shadowRoot?.querySelector<LitElement>('nibble-composer');
    await composer?.updateComplete;
    if (!this.shown) return;
    this.view?.focus();
    if (this.shadowRoot!.activeElement !== this.view) this.panel?.focus();
  }

  /** Shows what there is to load, and loads at once what is already here, unless the tab died of that last time. */
  async #begin(): Promise<void> {
    this.notice = read.checkAttributes(this.getAttributeNames());
    let refused: NibbleError | null = null;
    let session: ChatSession;
    try {
      session = this.#configure();
    } catch (thrown) {
      refused = asNibbleError(thrown);
      session = new ChatSession(engines.load, { choice: { model: '', name: '' }, engine: {}, sampling: {} });
    }
    session.thread = this.#thread;
    session.tools = this.#tools;
    session.hooks = this.#hooks;
    this.#watch(session);
    this.session = session;
    if (refused) return session.report(refused);
    const keep = read.readKeep(this.keep);
    if (keep) {
      this.#keeping = new Keeping(keep, session);
      // a store that does not answer does not hold up the rest
      await Promise.race([this.#keeping.recall(), new Promise((done) => setTimeout(done, RECALL_MS))]);
    }
    const { choice, engineOptions } = session;
    const isShared = this.#given || engines.has(choice.model, engineOptions);
    const preview = isShared ? { bytes: null, here: true } : await previewModel(choice, isStored);
    // taken out of the page meanwhile
    if (this.session !== session) return;
    session.offer(preview);
    if (preview.here && !preview.lastAttempt) await session.load();
  }

  #hooks: Hooks = {
    beforeSend: async ({ question }) => {
      const verdict = await this.beforeSend?.({ text: question, messages: this.messages });
      if (verdict?.refuse) return { refuse: read.readText(verdict.refuse) };
      return verdict?.context ? { context: read.readText(verdict.context) } : undefined;
    },
    afterAnswer: ({ message }) => {
      try {
        this.afterAnswer?.(message, this.messages);
      } catch (error) {
        // the page's own: the conversation goes on
        reportError(error);
      }
    },
  };

  #watch(session: ChatSession) {
    const told = <Type extends keyof NibbleChatEvents>(
      type: string,
      name: Type,
      and?: (detail: Detail<Type>) => void,
    ) =>
      session.addEventListener(type, (event) => {
        if (this.session !== session) return;
        const { detail } = event as CustomEvent<Detail<Type>>;
        and?.(detail);
        this.#announce(name, detail);
      });
    told('progress', 'nibble-progress');
    told('error', 'nibble-error');
    told('ready', 'nibble-ready', () => {
      // by then whoever builds the page has seen it
      this.notice = '';
      // the button that was pressed is gone
      if (this.#hasFocus) void this.#focusInside();
    });
    told('message', 'nibble-message', ({ role }) => {
      if (role === 'assistant' && !this.shown) this.unread++;
    });
    session.addEventListener('change', () => {
      if (this.session !== session) return;
      const answering = session.phase === 'answering';
      for (const piece of this.#told.next(answering, session.messages.at(-1))) this.#announce('nibble-token', piece);
    });
  }

  /** A page that empties it finds it drawn anew: lit's own root is gone with what it drew. */
  #emptied = new MutationObserver(() => {
    if (this.renderRoot.querySelector('.root')) return;
    this.renderRoot.replaceChildren();
    delete (this.renderRoot as unknown as { _$litPart$?: unknown })._$litPart$;
    this.renderOptions.renderBefore = null;
    this.requestUpdate();
  });

  override connectedCallback() {
    super.connectedCallback();
    this.#emptied.observe(this.renderRoot, { childList: true });
    this.#phone.addEventListener('change', this.#resized);
    // moved, its popover and dialog are no longer above the page
    this.requestUpdate();
  }

  /** Whoever moves an element takes it out and puts it in again, at once or nearly so. */
  override disconnectedCallback() {
    super.disconnectedCallback();
    this.#phone.removeEventListener('change', this.#resized);
    setTimeout(() => {
      if (this.isConnected) return;
      this.#end();
      this.shown = false;
    });
  }

  /** Ends the worker, if no other element has a part in it, and frees the model's memory. */
  #end() {
    const { session } = this;
    if (session) {
      this.#thread = session.thread;
      // what is under way is stopped, and announced with what still waits
      session.addEventListener('thread', () => {
        this.#thread = session.thread;
      });
      session.openThread(EMPTY_THREAD);
      void session.dispose();
    }
    this.#keeping?.stop(this.#thread);
    this.#keeping = null;
    this.session = null;
    this.#engine = null;
    this.notice = '';
  }

  override willUpdate(changed: PropertyValues<this>) {
    if (changed.has('lang')) void this.#speak();
    this.toggleAttribute('data-floating', this.#corner !== '');
    read.readScheme(this.colorScheme);
  }

  /** Puts what floats above the page, and the whole screen under a phone's panel. */
  override updated(changed: PropertyValues) {
    super.updated(changed);
    if (!this.float) return;
    if (this.float.showPopover && this.isConnected && !this.float.matches(':popover-open')) this.float.showPopover();
    const dialog = this.panel as HTMLDialogElement;
    const whole = this.#phone.matches;
    if (dialog.open && (!this.shown || dialog.matches(':modal') !== whole)) dialog.close();
    if (!this.shown || dialog.open || !this.isConnected) return;
    if (whole) dialog.showModal();
    else dialog.show();
  }

  /** Escape minimises what floats, unless it stops an answer. */
  #key = (event: KeyboardEvent) => {
    if (event.key !== 'Escape' || event.defaultPrevented || event.isComposing || !this.#corner) return;
    event.preventDefault();
    if (this.session?.phase !== 'answering') this.close();
  };

  #cancel = (event: Event) => {
    event.preventDefault();
    if (this.session?.phase !== 'answering') this.close();
  };

  #openByHand() {
    void this.open();
    void this.#focusInside();
  }

  get #title() {
    return read.readText(this.heading) || this.say('widgetHeading');
  }

  #greeting(slot?: string) {
    const greeting = read.readText(this.greeting);
    return greeting
      ? html`<p class="greeting" part="greeting" dir="auto" slot=${slot ?? nothing}>${greeting}</p>`
      : nothing;
  }

  #header() {
    return html`<header part="header">
      <span class="avatar" part="avatar"><slot name="avatar"></slot></span>
      <h2 id="title" part="title" dir="auto"><slot name="header">${this.#title}</slot></h2>
      <button class="icon" part="new-chat" aria-label=${this.say('newChat')} title=${this.say('newChat')}
        @click=${() => {
          this.clear();
          void this.#focusInside();
        }}>${NEW_CHAT}</button>
      <button class="icon" part="minimise" aria-label=${this.say('widgetMinimise')} title=${this.say('widgetMinimise')}
        @click=${() => this.close()}>${MINIMISE}</button>
    </header>`;
  }

  #chat() {
    const { session } = this;
    if (!session) return nothing;
    return html`${this.#header()}
      ${this.notice ? html`<p class="notice muted" role="status">${this.notice}</p>` : nothing}
      <nibble-view
        exportparts="card, load, model, progress, user, assistant, composer, stats, error, tool"
        .session=${session}
        .starters=${read.readLines(this.starters)}
        placeholder=${read.readText(this.placeholder) || this.say('widgetPlaceholder')}
      >${this.#greeting('intro')}</nibble-view>
      <slot name="footer"></slot>`;
  }

  #box() {
    const start = html`<section class="panel start" part="panel">
      <div class="closed">
        <h2 dir="auto">${this.#title}</h2>
        ${this.#greeting()}
        <p class="muted">${this.say('widgetPromise')}</p>
        <button class="primary opener" part="open" @click=${() => this.#openByHand()}>
          ${this.say('widgetStart')}${this.unread ? html` <span class="muted">(${this.#unread})</span>` : nothing}
        </button>
        ${this.model ? html`<span class="muted">${modelName(read.readText(this.model))}</span>` : nothing}
      </div>
    </section>`;
    return html`${this.shown ? nothing : start}
      <section class="panel" part="panel" tabindex="-1" aria-labelledby="title" ?hidden=${!this.shown}>${this.#chat()}</section>`;
  }

  get #unread() {
    return this.say('widgetUnread', { count: this.unread });
  }

  #bubble(corner: string) {
    const { shown, unread } = this;
    const name = unread ? `${this.say('widgetOpen')}: ${this.#unread}` : this.say('widgetOpen');
    return html`<div class="float ${corner}" popover="manual">
      <button class="launcher primary opener" part="launcher" aria-haspopup="dialog" aria-expanded=${shown}
        aria-label=${shown ? this.say('widgetMinimise') : name}
        @click=${() => (shown ? this.close() : this.#openByHand())}
      ><slot name="launcher">${shown ? MINIMISE : CHAT}</slot>${
        unread ? html`<span class="badge" part="badge" aria-hidden="true">${unread}</span>` : nothing
      }</button>
      <dialog class="panel" part="panel" tabindex="-1" aria-labelledby="title" @keydown=${this.#key} @cancel=${this.#cancel}
        @close=${() => {
          // the system's back gesture
          if (!(this.panel as HTMLDialogElement).open && this.shown && this.#phone.matches) this.close();
        }}
      >${this.#chat()}</dialog>
      <span class="unseen" role="status">${unread ? this.#unread : nothing}</span>
    </div>`;
  }

  override render() {
    const corner = this.#corner;
    return html`<div class="root" dir=${this.vocabulary.direction}>${corner ? this.#bubble(corner) : this.#box()}</div>`;
  }
}
