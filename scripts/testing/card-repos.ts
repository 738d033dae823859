/**
 * The repositories of the suggested models as the Hub would list them, made from the cards themselves: names, revisions
 * and sizes are what a card says, and the files behind them are small ones of the fixtures.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { CARDS, MORE_CARDS, type ModelCard } from '../../src/ui/models/cards';
import type { FakeRepo } from './fake-hub';

const FOLDER = 'reference/fixtures/tiny-llama-128/nf4';
const GGUF = 'reference/fixtures/tiny-gguf/qwen2/model.gguf';
/** the digits of none that there is */
const NEWEST = '0123456789abcdef0123456789abcdef01234567';

const bytesOf = (path: string) => new Uint8Array(readFileSync(path));
const folder = (): [string, Uint8Array][] => readdirSync(FOLDER).map((name) => [name, bytesOf(`${FOLDER}/${name}`)]);

function repoOf({ file, bytes, revision, licence, gated }: ModelCard, rank: number): FakeRepo {
  const weights = file ?? 'model.safetensors';
  const other = file?.replace(/q4_(k_m|0)/i, 'Q8_0');
  const gguf = bytesOf(GGUF);
  return {
    files: new Map(
      file
        ? [
            ['README.md', new Uint8Array(1)],
            [file, gguf],
            [other!, gguf],
          ]
        : folder(),
    ),
    sizes: { ...(bytes && { [weights]: bytes }), ...(other && bytes && { [other]: Math.round(bytes * 1.6) }) },
    revisions: { main: NEWEST, ...(revision && { [revision]: revision }) },
    ...(gated && { token: 'hf_agreed' }),
    about: {
      license: licence.toLowerCase().replaceAll(' ', '-'),
      downloads: 1_000_000 >> rank,
      likes: 100 - rank,
      tags: file ? ['gguf', 'text-generation'] : ['safetensors', 'text-generation'],
    },
  };
}

/** By name, for serveFakeHub(). */
export const cardRepos = (): Record<string, FakeRepo> =>
  Object.fromEntries([...CARDS, ...MORE_CARDS].map((card, rank) => [card.repository, repoOf(card, rank)]));
