/**
 * WebGPU's calls counted where they happen: the server puts a wrapper in front of the worker's script, so that nothing
 * of ours is asked.
 */
import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import type { ServerOptions } from '../scripts/testing/server';

export interface Counted {
  /** bytes of all buffers alive, and the most there ever were */
  live: number;
  peak: number;
  created: number;
  submits: number;
  dispatches: number;
  pipelines: number;
}

/** Runs in the worker, before anything of ours. */
export const COUNT = `{
  const counted = (self.counted = { live: 0, peak: 0, created: 0, submits: 0, dispatches: 0, pipelines: 0 });
  const wrap = (type, name, before, after = (result) => result) => {
    const original = type.prototype[name];
    type.prototype[name] = function (...args) {
      before(this, ...args);
      return after(original.apply(this, args), ...args);
    };
  };
  const sizes = new WeakMap();
  wrap(GPUDevice, 'createBuffer', () => {}, (buffer, { size }) => {
    sizes.set(buffer, size);
    counted.created++;
    counted.live += size;
    counted.peak = Math.max(counted.peak, counted.live);
    return buffer;
  });
  wrap(GPUBuffer, 'destroy', (buffer) => {
    counted.live -= sizes.get(buffer) ?? 0;
    sizes.delete(buffer);
  });
  wrap(GPUQueue, 'submit', () => counted.submits++);
  wrap(GPUComputePassEncoder, 'dispatchWorkgroups', () => counted.dispatches++);
  wrap(GPUDevice, 'createComputePipelineAsync', () => counted.pipelines++);
}
`;

/**
 * The same in the page's worker, the library's (/lib/ is what `npm install` would bring) and the widget's, which both
 * come as text in a module.
 */
export const countedEverywhere: Partial<ServerOptions> = {
  intercept({ url }, response, path) {
    const file = path.startsWith('/lib/')
      ? `dist/${path.slice(5)}`
      : `dist${path.startsWith('/embed/') ? '' : '/site'}${path}`;
    const answer = (script: string) => {
      response.writeHead(200, { 'Content-Type': 'text/javascript', 'Access-Control-Allow-Origin': '*' }).end(script);
      return true;
    };
    if (path.endsWith('/worker-text.js') && !url?.endsWith('?itself')) {
      return answer(`import text from '${path}?itself';\nexport default ${JSON.stringify(COUNT)} + text;`);
    }
    const worker = /\/assets\/worker-.*\.js$/.test(path);
    return (
      (worker || /^\/(lib|embed)\/.*\.js$/.test(path)) && answer((worker ? COUNT : '') + readFileSync(file, 'utf8'))
    );
  },
};

/** Bytes of the buffers that are alive in the page's newest worker. */
export const live = (page: Page) =>
  page
    .workers()
    .at(-1)!
    .evaluate(() => (self as unknown as { counted: Counted }).counted.live);
