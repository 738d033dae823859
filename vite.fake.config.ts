import base from './vite.config.ts';
import { mergeConfig } from 'vite';
export default mergeConfig(base, { plugins: [{ name: 'fake', enforce: 'pre', resolveId(id) { if (id.endsWith('/engine')) return '\0fake-engine'; },
 load(id) { if (id === '\0fake-engine') return `
 import { FakeEngine, PROGRESS } from '/work/main/src/ui/test/fake-engine.ts';
 export async function isStored() { return null; }
 export async function load(model, o) {
   const q = new URLSearchParams(location.hash.slice(1));
   for (let i = 0; i < 10; i++) { o.onProgress({ ...PROGRESS, loadedBytes: 8.4e6 * i, secondsLeft: 10-i }); await new Promise(r => setTimeout(r, 300)); if (o.signal.aborted) throw o.signal.reason; }
   const e = new FakeEngine();
   e.pace = () => new Promise(r => setTimeout(r, 60));
   const text = "The sky looks blue because air scatters **short waves** of light more than long ones.\\n\\n1. Sunlight holds every colour.\\n2. Blue light is scattered about *four times* as much as red.\\n\\n\`\`\`js\\nconst ratio = (700 / 450) ** 4;\\nconsole.log(ratio.toFixed(1)); // 5.9\\n\`\`\`\\n\\nSo wherever you look, scattered blue reaches you.";
   e.answer = text.match(/\\S+\\s*/g);
   return e;
 }`; } }] });
