/** The text of dist/worker.js; scripts/vite-worker.ts */
declare module 'nibble:worker-text' {
  const text: string;
  export default text;
}
