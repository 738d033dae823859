/** What only the widget says, in English: words that come with it (teach() of words.ts). As in en.ts. */
import type { Phrase } from './en';

export const EN_WIDGET = {
  widgetHeading: 'Ask a model that runs in this page',
  widgetPlaceholder: 'Ask something',
  widgetPromise: 'What you type stays on your device. You see the size before anything is downloaded.',
  widgetStart: 'Start a chat',
  widgetOpen: 'Open the chat',
  widgetMinimise: 'Minimise',
  widgetUnread: { one: '{count} new answer', other: '{count} new answers' },
} satisfies Record<string, Phrase>;
