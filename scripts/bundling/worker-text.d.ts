/** The text of dist/worker.js; scripts/bundling/vite-worker.ts */
declare module 'nibble:worker-text' {
  const text: string;
  export default text;
}
