/** What the page has as an app of the device (as-app.ts), fetched when there is a use for it. */
import type { ChatMessage } from '../protocol';
import type { ChatSession } from '../ui/conversation/session';
import type { AsApp } from './as-app';
import type { ChatPage } from './page';

interface LaunchQueue {
  setConsumer(consumer: (launch: { files?: readonly FileSystemHandle[] }) => void): void;
}

let offered: Event | null = null;

/** Chromium's offer to install the page comes once, and early. */
export function hearInstallOffer(): void {
  addEventListener('beforeinstallprompt', (event) => {
    // the page has a button for it, and no bar of the browser's comes over what is read
    event.preventDefault();
    offered = event;
  });
}

/** @param shared the value of `?shared`; null: nothing was shared */
export function appLater(page: ChatPage, session: ChatSession, shared: string | null): void {
  let opened: Promise<AsApp | null> | undefined;
  const app = () => {
    opened ??= import('./as-app').then(
      ({ AsApp }) => new AsApp(page, session, offered),
      () => null,
    );
    return opened;
  };
  // what comes unseen is marked
  const unseen = () => {
    if (document.hidden) void app();
  };
  unseen();
  document.addEventListener('visibilitychange', unseen);
  session.addEventListener('message', async (event) => {
    const { role } = (event as CustomEvent<ChatMessage>).detail;
    if (role === 'assistant') await (await app())?.answered();
  });
  (globalThis as { launchQueue?: LaunchQueue }).launchQueue?.setConsumer(async ({ files }) => {
    if (files?.length) await (await app())?.launched(files);
  });
  if (shared !== null) void app().then((it) => it?.shared(shared));
}
