/** An element that says something: in the words of the nearest element around it that has some, or the page's. */
import { LitElement } from 'lit';
import { pageVocabulary, type Say, Vocabulary } from './words/words';

/** @returns the vocabulary of the nearest element around it, across shadow roots, that has one */
function vocabularyAround(element: Element): Vocabulary {
  for (let node: Node | null = element; node; node = node.parentNode ?? (node as ShadowRoot).host ?? null) {
    const { vocabulary } = node as { vocabulary?: unknown };
    if (vocabulary instanceof Vocabulary) return vocabulary;
  }
  return pageVocabulary;
}

export class SpokenElement extends LitElement {
  #vocabulary = pageVocabulary;
  #spoken = () => this.requestUpdate();

  override connectedCallback() {
    super.connectedCallback();
    this.#vocabulary = vocabularyAround(this);
    this.#vocabulary.addEventListener('change', this.#spoken);
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.#vocabulary.removeEventListener('change', this.#spoken);
  }

  /** BCP 47, for numbers and dates */
  protected get language(): string {
    return this.#vocabulary.language;
  }

  protected readonly say: Say = (name, put) => this.#vocabulary.say(name, put);
}
