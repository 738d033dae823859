/**
 * What can be done on the page by a key or from the palette, and the settings: their code is fetched when it is first
 * needed.
 */
import { commands } from '../ui/commands/commands';
import { focusOtherwise } from '../ui/commands/focus';
import type { ChatSession } from '../ui/conversation/session';
import type { ModelLibrary } from '../ui/models/model-library';
import { noteError } from '../ui/settings/error-log';
import { preferences } from '../ui/settings/preferences';
import type { Section, SettingsDialog } from '../ui/settings/settings-dialog';
import { learnSettings } from '../ui/words/languages';
import type { AnswerPage } from './answer-commands';

/** What of the page is asked. */
export interface Actions extends AnswerPage {
  readonly session: ChatSession | null;
  readonly library: ModelLibrary | null;
  /** the composer gets the focus */
  focus(): void;
  newChat(): void;
  temporaryChat(): void;
  searchConversations(): void;
  toggleConversations(): void;
  openModels(): void;
}

interface Opens {
  open(): Promise<void>;
}

/** The page's one element of this name. */
function only<T extends HTMLElement>(name: string): T {
  const found = document.body.querySelector<T>(name);
  return found ?? document.body.appendChild(document.createElement(name) as T);
}

export async function openSettings(page: Actions, section?: Section): Promise<void> {
  const loading = [import('../ui/settings/settings-dialog'), learnSettings()];
  const [{ keepingOf }] = await Promise.all([import('./keeping'), ...loading]);
  const { session, library } = page;
  if (!session || !library) return;
  const dialog = only<SettingsDialog>('nibble-settings');
  const version = import.meta.env.NIBBLE_VERSION ?? '';
  Object.assign(dialog, { session, keeping: keepingOf(library), standard: library.standard.name, version });
  await dialog.open(section);
}

async function openPalette(): Promise<void> {
  await Promise.all([import('../ui/commands/palette'), learnSettings()]);
  await only<HTMLElement & Opens>('nibble-palette').open();
}

/** What has no room in the bar. */
export async function openMenu(page: Actions): Promise<void> {
  await Promise.all([import('./bar-menu'), learnSettings()]);
  const menu = only<HTMLElement & Opens>('nibble-bar-menu');
  await Object.assign(menu, { session: page.session }).open();
}

async function openShortcuts(): Promise<void> {
  await Promise.all([import('../ui/commands/shortcuts'), learnSettings()]);
  await only<HTMLElement & Opens>('nibble-shortcuts').open();
}

/** It begins as the person has set for new ones. */
function newChat(page: Actions): void {
  page.newChat();
  if (page.session) page.session.settings = preferences.get('conversation');
}

function toggleTheme(): void {
  const chosen = preferences.get('theme');
  const isDark = chosen === 'dark' || (chosen === 'system' && matchMedia('(prefers-color-scheme: dark)').matches);
  preferences.set('theme', isDark ? 'light' : 'dark');
}

/** From now on the page's keys do something, and a focus that is lost goes to the composer. */
export function registerPageCommands(page: Actions): void {
  const isAnswering = () => page.session?.phase === 'answering';
  const has = () => page.session !== null;
  const focus = () => page.focus();
  focusOtherwise(focus);
  commands.register({ name: 'openPalette', keys: 'Mod+K', run: openPalette });
  commands.register({ name: 'newChat', keys: 'Mod+Shift+O', run: () => newChat(page), when: has });
  commands.register({ name: 'temporaryChat', run: () => page.temporaryChat(), when: has });
  commands.register({
    name: 'searchConversations',
    keys: 'Mod+Shift+F',
    run: () => page.searchConversations(),
    when: has,
  });
  commands.register({ name: 'toggleConversations', keys: 'Mod+B', run: () => page.toggleConversations() });
  commands.register({ name: 'focusComposer', keys: '/', run: focus });
  commands.register({ name: 'stopAnswer', keys: 'Escape', run: () => page.session?.stop(), when: isAnswering });
  commands.register({ name: 'openModels', run: () => page.openModels(), when: has });
  commands.register({
    name: 'unloadModel',
    run: () => page.session?.unload(),
    when: () => page.session?.info?.source === 'device',
  });
  commands.register({ name: 'openSettings', keys: 'Mod+,', run: () => openSettings(page), when: has });
  commands.register({ name: 'openStorage', run: () => openSettings(page, 'storage'), when: has });
  commands.register({ name: 'copyDiagnostics', run: () => openSettings(page, 'diagnostics'), when: has });
  commands.register({ name: 'themeToggle', run: toggleTheme });
  commands.register({ name: 'showShortcuts', keys: '?', run: openShortcuts });
  addEventListener('keydown', commands.handle);
}

/** What can be done with the last answer can be done when there is one: then its code comes. */
export function commandAnswers(page: Actions, session: ChatSession): void {
  const come = async () => {
    if (session.phase === 'answering' || session.messages.length === 0) return;
    session.removeEventListener('change', come);
    try {
      (await import('./answer-commands')).registerAnswerCommands(page, session);
    } catch {
      session.addEventListener('change', come);
    }
  };
  session.addEventListener('change', come);
}

/** What the settings know of a session from its beginning: how a new conversation is to be answered, and its errors. */
export function preferIn(session: ChatSession): void {
  session.settings = preferences.get('conversation');
  session.addEventListener('error', (event) => noteError((event as CustomEvent).detail));
}
