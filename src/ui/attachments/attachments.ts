/**
 * What is attached to a question that is being written: files and long pastes, each being read, ready, or refused with
 * a reason. Fetched when the first is attached.
 */
import type { ModelInfo } from '../../protocol';
import type { Attached } from '../conversation/thread';
import { type CountTokens, countAll } from '../search/count-tokens';
import { PAGE_BREAK } from './attached-text';
import type { Attachment } from './attachment';
import './attachment-chips';
import { EN_COMPOSER } from '../words/en-composer';
import { teach } from '../words/words';
import { readFile } from './read-file';
import { Refused } from './refused';

teach(EN_COMPOSER);

/** For one question. */
const MOST_FILES = 20;
/** Dispatches 'change' whenever something changed. */
export class Attachments extends EventTarget {
  items: readonly Attachment[] = [];
  #ids = 0;
  #count: CountTokens = async () => null;
  #info: ModelInfo | null = null;
  /** files are read one after the other */
  #reading: Promise<void> = Promise.resolve();

  /** What goes with the question if it is sent now. */
  get attached(): Attached[] {
    return this.items.flatMap(({ attached }) => attached ?? []);
  }

  /** Whether some are still being read. */
  get busy(): boolean {
    return this.items.some(({ attached, refused }) => attached === null && refused === null);
  }

  /** Ends when all that was added is read or refused. */
  get settled(): Promise<void> {
    return this.#reading;
  }

  /** The model is another one: its tokens are counted anew. */
  countWith(count: CountTokens, info: ModelInfo | null): void {
    if (info === this.#info) return;
    this.#count = count;
    this.#info = info;
    for (const { id, attached } of this.items) if (attached) void this.#countTokens(id, attached.text);
  }

  /** Reads files, in their order. */
  add(files: Iterable<File>): void {
    for (const file of files) {
      if (this.items.length >= MOST_FILES) {
        if (!this.items.some(({ refused }) => refused?.phrase === 'filesTooMany'))
          this.#put({ name: file.name, refused: { phrase: 'filesTooMany', put: { count: MOST_FILES } } });
        continue;
      }
      const id = this.#put({ name: file.name });
      this.#reading = this.#reading.then(() => this.#read(id, file));
    }
  }

  /** @returns its id */
  paste(name: string, text: string): number {
    const id = this.#put({ name, attached: { name, text }, pasted: true });
    void this.#countTokens(id, text);
    return id;
  }

  /** What a draft had. */
  restore(attached: readonly Attached[]): void {
    this.items = [];
    for (const each of attached) {
      const id = this.#put({ name: each.name, attached: each, pages: pagesOf(each.text) });
      void this.#countTokens(id, each.text);
    }
    this.#changed();
  }

  remove(id: number): void {
    this.items = this.items.filter((item) => item.id !== id);
    this.#changed();
  }

  #put(fields: Partial<Attachment> & Pick<Attachment, 'name'>): number {
    const id = ++this.#ids;
    const blank = { attached: null, pages: 1, tokens: null, refused: null, pasted: false };
    this.items = [...this.items, { ...blank, ...fields, id }];
    this.#changed();
    return id;
  }

  #set(id: number, fields: Partial<Attachment>): void {
    this.items = this.items.map((item) => (item.id === id ? { ...item, ...fields } : item));
    this.#changed();
  }

  #changed(): void {
    this.dispatchEvent(new Event('change'));
  }

  async #read(id: number, file: File): Promise<void> {
    if (!this.items.some((item) => item.id === id)) return;
    try {
      const text = await readFile(file, this.#info);
      this.#set(id, { attached: { name: file.name, text }, pages: pagesOf(text) });
      void this.#countTokens(id, text);
    } catch (thrown) {
      // one that was moved or deleted meanwhile cannot be read either
      const { phrase, put } = thrown instanceof Refused ? thrown : new Refused('fileUnread', { name: file.name });
      this.#set(id, { refused: { phrase, put } });
    }
  }

  async #countTokens(id: number, text: string): Promise<void> {
    const tokens = await countAll(text, this.#count);
    this.#set(id, { tokens });
  }
}

const pagesOf = (text: string) => text.split(PAGE_BREAK).length;
