/**
 * The page's start: the address bar says which model and how (`?model=/models/name/&backend=cpu`), the rest is
 * ChatSession's. `?model=` is a path on this origin or a Hub id; the other names are the engine's options.
 * `<meta name="nibble-hub" content="https://…">` names what stands for the Hub, where a site has a mirror of it.
 */
import { deleteStored, isStored, load, type ModelInput, openInspection, storedModels, verifyStored } from '../engine';
import { asNibbleError, NibbleError } from '../errors';
import type { EngineOptions } from '../protocol';
import { registerServiceWorker } from '../pwa/register';
import { rememberedBudget } from '../ui/budget';
import { chooseByName } from '../ui/model-choice';
import type { ModelLibrary } from '../ui/model-library';
import { parseModel, parseOptions } from '../ui/options';
import { previewModel } from '../ui/preview';
import { ChatSession } from '../ui/session';
import type { ChatPage } from './page';
import './page';
import { DEFAULT_MODEL } from './starters';

const hub = document.querySelector<HTMLMetaElement>('meta[name=nibble-hub]')?.content;

/** The limit that the person set on an earlier visit. */
function remembered(): EngineOptions {
  const memoryBudget = rememberedBudget();
  return memoryBudget === null ? {} : { memoryBudget };
}

function readQuery(): { session: ChatSession; library: ModelLibrary; error: NibbleError | null } {
  const query = new URLSearchParams(location.search);
  const model = query.get('model') ?? DEFAULT_MODEL;
  const named = query.getAll('model').length;
  query.delete('model');
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
    const choice = chooseByName(parseModel(model, document.baseURI, true), {}, hub);
    return {
      session: new ChatSession(load, { choice, engine: { ...remembered(), ...parseOptions(query) }, sampling: {} }),
      library,
      error: null,
    };
  } catch (thrown) {
    const session = new ChatSession(load, { choice: standard, engine: remembered(), sampling: {} });
    return { session, library, error: asNibbleError(thrown) };
  }
}

/** A folder on the web, whose config.json is small; a GGUF's header is not, and the Hub is asked when the person asks. */
const isServed = (model: ModelInput) => typeof model === 'string' && /^https?:.*(?<!\.gguf)$/.test(model);

async function start() {
  const page = document.querySelector<ChatPage>('nibble-page')!;
  const { session, library, error } = readQuery();
  page.session = session;
  page.library = library;
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
  void registerServiceWorker(new URL('sw.js', document.baseURI), (reload) => {
    document.querySelector<ChatPage>('nibble-page')!.newVersion = reload;
  });
}
