/**
 * How the package makes its worker, in every bundler and from any origin: from text, which a module of its own carries
 * and which nothing imports before. Where the page's policy forbids that (an extension's always does), from the file
 * that lies beside the library. The expression is one that bundlers know: they copy the file.
 */
import { trustedAddress } from '../platform/trusted-address';
import type { MakeWorker } from './worker-options';

let address = '';

async function fromText(): Promise<Worker> {
  const { default: text } = await import('nibble:worker-text');
  // for as long as the page lives: a worker that is lost is made again
  address ||= URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
  return new Worker(trustedAddress(address));
}

function fromFile(): Worker {
  const file = new URL(/* @vite-ignore */ './worker.js', import.meta.url);
  return new Worker(trustedAddress(file));
}

export const ownWorker: readonly MakeWorker[] = [fromText, fromFile];
