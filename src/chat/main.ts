/**
 * The page's start: the address bar says which model and how (`?model=/models/name/&backend=cpu`), the rest is
 * ChatSession's. `?model=` is a path on this origin or a Hub id; the other names are the engine's options.
 */
import { isStored, load } from '../engine';
import { asNibbleError, NibbleError } from '../errors';
import { registerServiceWorker } from '../pwa/register';
import { parseModel, parseOptions } from '../ui/options';
import { previewModel } from '../ui/preview';
import { ChatSession } from '../ui/session';
import type { ChatPage } from './page';
import './page';
import { DEFAULT_MODEL } from './starters';

function readQuery(): { session: ChatSession; error: NibbleError | null } {
  const query = new URLSearchParams(location.search);
  const model = query.get('model') ?? DEFAULT_MODEL;
  const named = query.getAll('model').length;
  query.delete('model');
  try {
    if (named > 1) throw new NibbleError('invalid-option', 'The option model is given twice.', { option: 'model' });
    const options = { model: parseModel(model, document.baseURI, true), engine: parseOptions(query), sampling: {} };
    return { session: new ChatSession(load, options), error: null };
  } catch (thrown) {
    return { session: new ChatSession(load, { model, engine: {}, sampling: {} }), error: asNibbleError(thrown) };
  }
}

async function start() {
  const page = document.querySelector<ChatPage>('nibble-page')!;
  const { session, error } = readQuery();
  page.session = session;
  if (error) session.report(error);
  else {
    page.preview = await previewModel(session.model, isStored);
    if (page.preview.stored) void session.load();
  }
}

void start();

if (import.meta.env.PROD) {
  void registerServiceWorker(new URL('sw.js', document.baseURI), (reload) => {
    document.querySelector<ChatPage>('nibble-page')!.newVersion = reload;
  });
}
