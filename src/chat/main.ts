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
import { previewModel } from '../ui/conversation/preview';
import { ChatSession } from '../ui/conversation/session';
import { rememberedBudget } from '../ui/memory/budget';
import { chooseByName, type ModelChoice } from '../ui/models/model-choice';
import type { ModelLibrary } from '../ui/models/model-library';
import { describeUnknown, OPTION_NAMES, parseModel, parseOptions } from '../ui/options';
import type { NamedModel } from './conversation-store';
import type { KeptChat } from './kept-chat';
import type { ChatPage } from './page';
import './page';
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

/** Whether an earlier visit may have kept a conversation. At a first one the code for it comes after the weights. */
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
    const { KeptChat } = await import('./kept-chat');
    return await KeptChat.open(address, deleteSavedCache);
  } catch {
    return null;
  }
}

async function start() {
  const page = document.querySelector<ChatPage>('nibble-page')!;
  const { choice, engine, said, sampling, address, library, error } = readQuery();
  const keeps = !error && engine.storage !== 'none';
  const kept = keeps && (await hasTalked()) ? await openKept(address) : null;
  const last = kept?.model;
  // a model that the address bar names is the one that is meant
  const goesOn = last && (last.model === address || !new URLSearchParams(location.search).has('model'));
  const session = new ChatSession(load, { choice: goesOn ? chooseKept(last, said) : choice, engine, sampling });
  kept?.attach(session);
  Object.assign(page, { session, library, kept });
  if (keeps && !kept) {
    const keep = async () => {
      page.kept = await openKept(address);
      page.kept?.attach(session);
    };
    session.addEventListener('ready', keep, { once: true });
  }
  if (error) return session.report(error);
  const preview = await previewModel(session.choice, isStored);
  // the person may have chosen another model meanwhile
  if (session.preview || session.phase !== 'idle') return;
  session.offer(preview);
  if (preview.here && !preview.lastAttempt) await session.load();
  else if (isServed(session.choice.model)) await page.showCost(session.choice);
}

void start();

if (import.meta.env.PROD) {
  const isolates = document.querySelector('meta[name=nibble-isolate]') !== null;
  void registerServiceWorker(new URL(isolates ? 'sw.js?isolate' : 'sw.js', document.baseURI), (reload) => {
    document.querySelector<ChatPage>('nibble-page')!.newVersion = reload;
  });
}
