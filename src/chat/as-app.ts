/** What the page has as an app of the device: fetched when there is a use for it (app-later.ts). */
import { badgeUnseen } from '../pwa/badge';
import { Installer } from '../pwa/install';
import { filesOf } from '../pwa/launch';
import { takeShared } from '../pwa/shared';
import type { ChatSession } from '../ui/conversation/session';
import { AppNotice } from './app-notice';
import type { ChatPage } from './page';

export class AsApp {
  readonly #page: ChatPage;
  readonly #session: ChatSession;
  readonly #installer: Installer;
  readonly #notice = new AppNotice();

  /** @param offered Chromium's offer to install the page, where it has come */
  constructor(page: ChatPage, session: ChatSession, offered: Event | null) {
    this.#page = page;
    this.#session = session;
    this.#installer = new Installer(offered);
    this.#notice.slot = 'notice';
    page.notice = this.#notice;
    badgeUnseen(session);
  }

  /** There is an answer: what there is to say of the page as an app disturbs nobody now. */
  async answered(): Promise<void> {
    this.#notice.installer = this.#installer;
    if (!(await navigator.serviceWorker?.ready)) return;
    const { preview, choice } = this.#session;
    this.#notice.offline = Boolean(preview?.here) && !choice.server;
  }

  /** Looks at a model's files that the system has opened with the page. */
  async launched(handles: readonly FileSystemHandle[]): Promise<void> {
    const files = await filesOf(handles);
    if (files.length > 0) this.#page.openModels({ model: files, name: files[0].name });
  }

  /** What another application has shared becomes a draft. @param value of `?shared` */
  async shared(value: string): Promise<void> {
    const shared = value === 'lost' ? null : await takeShared(new URL('.', document.baseURI));
    if (shared) await this.#page.receive(shared);
    else this.#notice.lost = true;
  }
}
