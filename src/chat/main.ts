/**
 * The page's start: the address bar says which model and how (`?model=/models/name/&backend=cpu`), the rest is
 * ChatSession's, and what was said at the last visit KeptChat's. `?model=` is a path on this origin or a Hub id; the
 * other names are the engine's options, and what is none of them (utm_source, fbclid) is passed over.
 * `<meta name="nibble-hub" content="https://…">` names what stands for the Hub, where a site has a mirror of it;
 * `<meta name="nibble-isolate">` has the service worker send what isolates the page, where its server cannot.
 */
import {
  deleteSavedCache,
  deleteStored,
  isStored,
  load,
  type ModelInput,
  openInspection,
  storedModels,
  verifyStored,
} from '../engine';
import { asNibbleError, NibbleError } from '../errors';
import type { EngineOptions, SamplingOptions } from '../protocol';
import { registerServiceWorker } from '../pwa/register';
import { sharedLoad } from '../tabs/shared-load';
import { sendFiles } from '../ui/attachments/send-files';
import type { LoadEngine } from '../ui/conversation/chat-engine';
import { isSaid } from '../ui/conversation/cut';
import { previewModel } from '../ui/conversation/preview';
import { ChatSession } from '../ui/conversation/session';
import { rememberedBudget } from '../ui/memory/budget';
import { chooseByName, type ModelChoice } from '../ui/models/model-choice';
import type { ModelLibrary } from '../ui/models/model-library';
import { describeUnknown, OPTION_NAMES, parseModel, parseOptions } from '../ui/options';
import { applyPreferences } from '../ui/settings/apply-preferences';
import { preferences } from '../ui/settings/preferences';
import { appLater, hearInstallOffer } from './app-later';
import { cacheName } from './cache-name';
import type { NamedModel } from './conversations/conversation';
import type { KeptChat } from './kept-chat';
import type { ChatPage } from './page';
import './page';
import { commandAnswers, preferIn, registerPageCommands } from './page-commands';
import { takeOpening, wantedConversation, wantsTemporary } from './routes';
import { DEFAULT_MODEL } from './starters';

const hub = document.querySelector<HTMLMetaElement>('meta[name=nibble-hub]')?.content;

/** The limit that the person set on an earlier visit. */
function remembered(): EngineOptions {
  const memoryBudget = rememberedBudget();
  return memoryBudget === null ? {} : { memoryBudget };
}

interface Asked {
  choice: ModelChoice;
  engine: EngineOptions;
  /** of these, what the address bar says */
  said: EngineOptions;
  sampling: SamplingOptions;
  /** the model that the address bar names */
  address: string;
  library: ModelLibrary;
  error: NibbleError | null;
}

function readQuery(): Asked {
  const query = new URLSearchParams(location.search);
  const model = query.get('model') ?? DEFAULT_MODEL;
  const named = query.getAll('model').length;
  query.delete('model');
  for (const name of new Set(query.keys())) {
    if (OPTION_NAMES.includes(name)) continue;
    console.warn(describeUnknown(`Nibble knows no option "${name}"`, name, OPTION_NAMES));
  }
  const standard = chooseByName(new URL(DEFAULT_MODEL, document.baseURI).href);
  const library: ModelLibrary = {
    standard,
    hub,
    inspect: openInspection,
    keep: async (...asked) => (await import('../engine/keep-model')).keepModel(...asked),
    stored: storedModels,
    verify: verifyStored,
    remove: deleteStored,
  };
  try {
    if (named > 1) throw new NibbleError('invalid-option', 'The option model is given twice.', { option: 'model' });
    const address = parseModel(model, document.baseURI, true);
    const { engine: said, sampling } = parseOptions(query);
    const engine = { ...remembered(), ...said };
    return { choice: chooseByName(address, {}, hub), engine, said, sampling, address, library, error: null };
  } catch (thrown) {
    const none = { engine: remembered(), said: {}, sampling: {}, address: '' };
    return { choice: standard, ...none, library, error: asNibbleError(thrown) };
  }
}

/**
 * A folder on the web, whose config.json is small; a GGUF's header is not, and the Hub is asked when the person asks.
 */
const isServed = (model: ModelInput) => typeof model === 'string' && /^https?:.*(?<!\.gguf)$/.test(model);

/** Whether an earlier visit may have kept a conversation. */
async function hasTalked(): Promise<boolean> {
  try {
    return (await indexedDB.databases()).some(({ name }) => name === 'nibble-chat');
  } catch {
    return false;
  }
}

/** What the address bar says goes before what the person chose at an earlier visit. */
function chooseKept({ model, revision, options }: NamedModel, said: EngineOptions): ModelChoice {
  const choice = chooseByName(model, { revision }, hub);
  if (!options) return choice;
  // with the same fields as before: otherwise it would be another choice, for which no saved cache is
  const chosen = Object.entries({ ...options, ...said }).filter(([name]) => name in options);
  return { ...choice, options: Object.fromEntries(chosen) };
}

/** The chat works without it, too: in old browsers, or where a file of an older version is gone. */
async function openKept(address: string): Promise<KeptChat | null> {
  try {
    const { KeptChat } = await import('./kept-conversations');
    return await KeptChat.open(address, deleteSavedCache, wantedConversation());
  } catch {
    return null;
  }
}

const loadShared = sharedLoad(load);

/** A server, where the person chose one; or the model, on this device. */
const loadAnswerer: LoadEngine = async (model, { server, ...options }) =>
  server ? (await import('./server-engine')).connectServer(server) : loadShared(model, options);

/** At a first visit, what keeps conversations comes once the first answer has begun, which nothing delays. */
function keepLater(page: ChatPage, session: ChatSession, keep: () => Promise<KeptChat | null>): void {
  let kept: Promise<KeptChat | null> | undefined;
  page.keep = () => {
    kept ??= keep();
    return kept;
  };
  // its cache is saved under this name then
  session.saved = cacheName(session.choice);
  session.addEventListener('thread', () => {
    const last = session.messages.at(-1);
    if (last?.role === 'assistant' && isSaid(last)) void page.keep?.();
  });
}

async function start() {
  const page = document.querySelector<ChatPage>('nibble-page')!;
  const shared = takeOpening();
  const { choice, engine, said, sampling, address, library, error } = readQuery();
  const keeps = !error && engine.storage !== 'none';
  const kept = keeps && (wantedConversation() !== undefined || (await hasTalked())) ? await openKept(address) : null;
  const last = kept?.model;
  // a model that the address bar names is the one that is meant
  const goesOn = last && (last.model === address || !new URLSearchParams(location.search).has('model'));
  const session = new ChatSession(loadAnswerer, {
    choice: goesOn ? chooseKept(last, said) : choice,
    engine,
    sampling,
  });
  preferIn(session);
  sendFiles(session);
  const attach = async (chat: KeptChat | null) => {
    if (!chat) return null;
    const { followAddress } = await import('./kept-conversations');
    chat.defaults = () => preferences.get('conversation');
    chat.attach(session);
    followAddress(chat);
    page.choose = (model) => chooseKept(model, said);
    page.kept = chat;
    return chat;
  };
  await attach(kept);
  Object.assign(page, { session, library });
  commandAnswers(page, session);
  appLater(page, session, shared);
  if (keeps && !kept && !wantsTemporary()) keepLater(page, session, async () => attach(await openKept(address)));
  if (error) return session.report(error);
  const preview = await previewModel(session.choice, isStored);
  // the person may have chosen another model meanwhile
  if (session.preview || session.phase !== 'idle') return;
  session.offer(preview);
  if (preview.here && !preview.lastAttempt) await session.load();
  else if (isServed(session.choice.model)) await page.showCost(session.choice);
}

hearInstallOffer();
applyPreferences();
registerPageCommands(document.querySelector<ChatPage>('nibble-page')!);
void start();

if (import.meta.env.PROD) {
  const isolates = document.querySelector('meta[name=nibble-isolate]') !== null;
  void registerServiceWorker(new URL(isolates ? 'sw.js?isolate' : 'sw.js', document.baseURI), (reload) => {
    document.querySelector<ChatPage>('nibble-page')!.newVersion = reload;
  });
}
