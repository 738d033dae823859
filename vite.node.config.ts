/** The command line: `dist/node/cli.js`, for Node. Dawn is loaded when it is needed, from node_modules. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { wgsl } from './scripts/vite-wgsl.ts';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  publicDir: false,
  plugins: [wgsl()],
  ssr: { noExternal: true, external: ['webgpu'] },
  build: {
    ssr: at('src/node/cli.ts'),
    outDir: at('dist/node'),
    emptyOutDir: true,
    target: 'node20',
    minify: false,
    rolldownOptions: { output: { entryFileNames: 'cli.js', codeSplitting: false } },
  },
});
