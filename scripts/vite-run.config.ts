/** What run.mjs needs of Vite, beside what it brings, to run the sources as they are. */
import { simd } from './bundling/vite-simd.ts';

export default { plugins: [simd()] };
