/** The built library as a program in Node takes it: what a page is compared with. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

export const nodeLibrary = async (): Promise<typeof import('../src/index')> =>
  import(pathToFileURL(resolve('dist/node/index.js')).href);
