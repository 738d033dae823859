/**
 * The widget's worker is text inside the widget's script and has no address to import from. What it needs later (the
 * tokenizer, the GGUF reader) lies beside that script, whose address it asks of the page. importScripts is what a
 * worker made from a blob may load under `script-src` of that origin; `import()` is refused there (measured in
 * Chromium 156). Only the widget's build uses this: scripts/vite-embed.ts puts it in the place of `import()`.
 */
type PartScope = { importScripts(url: string): void } & Record<string, unknown>;

/** The name under which a part's script leaves its exports (vite-embed.ts). */
const globalName = (part: string): string => `nibble_${part.replaceAll('-', '_')}`;

export async function partFromPage<T>(part: string): Promise<T> {
  const scope = globalThis as unknown as PartScope;
  const name = globalName(part);
  if (name in scope) return scope[name] as T;
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve, reject) => {
    port1.onmessage = ({ data }: MessageEvent<string>) => {
      port1.close();
      try {
        // asked for twice, it comes once
        if (!(name in scope)) scope.importScripts(data);
        resolve(scope[name] as T);
      } catch (cause) {
        reject(new Error(`${data} could not be loaded. Does script-src allow it?`, { cause }));
      }
    };
    postMessage({ nibblePart: part }, { transfer: [port2] });
  });
}
