/** The script's own address. (Vite reads `new URL(…, import.meta.url)` as the name of a file to build.) */
const script = import.meta.url;

/** The page's side of worker/part-from-page.ts: tells where `nibble-PART.js` lies, which is beside the widget's script. */
export function withParts(worker: Worker): Worker {
  worker.addEventListener('message', ({ data, ports }: MessageEvent) => {
    if (typeof data?.nibblePart === 'string')
      ports[0].postMessage(new URL(`nibble-${data.nibblePart}.js`, script).href);
  });
  return worker;
}
