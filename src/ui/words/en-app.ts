/** What is said of the page as an app, in English: words that come with app-notice.ts (teach() of words.ts). */
import type { Phrase } from './en';

export const EN_APP = {
  offlineReady: 'Offline ready: this page and its model are on this device.',
  installHint: 'Nibble can be an app of its own on this device.',
  install: 'Install',
  installByMenu: 'To keep it, choose Share, then “Add to Home Screen” or “Add to Dock”.',
  safariDeletes: 'Safari deletes what a site keeps after seven days without a visit, unless it is an app.',
  sharedLost: 'What was shared has not arrived: this browser had no room for it.',
} satisfies Record<string, Phrase>;
