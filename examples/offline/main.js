import { isStored, load } from 'nibble-llm';

const MODEL = 'HuggingFaceTB/SmolLM2-135M-Instruct';

await navigator.serviceWorker.register('./sw.js');
const stored = await isStored(MODEL);
document.title = stored ? `${(stored.bytes / 1e6).toFixed(1)} MB are on this device` : 'The model is fetched once';
const engine = await load(MODEL, { persist: true });
for await (const text of engine.chat([{ role: 'user', content: 'Why is the sky blue?' }])) document.body.append(text);

// the model keeps itself; the page's own files are kept here, once all of them have been fetched
const fetched = performance.getEntriesByType('resource').map(({ name }) => name);
const own = fetched.filter((name) => name.startsWith(`${location.origin}/`) && name.endsWith('.js'));
await (await caches.open('page')).addAll([location.href, ...own]);
