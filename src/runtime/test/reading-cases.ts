/** Vectors, rankings and likelihoods beside sentence-transformers' and transformers', for whichever executor. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { EmbedOptions, EngineOptions } from '../../protocol';
import { createSession, type Session } from '../session';
import { host, load } from './tiny';

const FOLDER = 'reference/fixtures/embeddings';

/** A model that embeds, by the name of its folder. */
export const EMBEDDERS = ['qwen3-embedding', 'e5-mistral', 'dense'] as const;
export const RERANKER = 'qwen3-reranker';

interface Case {
  given: EmbedOptions;
  texts: string[];
  ids: number[][];
  vectors: number[][];
}

interface Reranked {
  rerank: { query: string; documents: string[]; instruction: string | null; scores: number[] }[];
  score: { texts: string[]; ids: number[][]; logProbs: number[][] };
}

const expected = <T>(name: string): T => JSON.parse(readFileSync(`${FOLDER}/${name}/expected.json`, 'utf8')) as T;
export const casesOf = (name: string): Case[] => expected<{ cases: Case[] }>(name).cases;
export const reranked = (): Reranked => expected(RERANKER);

/** All exact: weights as they are stored, a cache of f32. */
const EXACT = { weights: 'f32', kv: 'f32' } as const;

let requests = 0;
export const nextId = () => ++requests;

/** The files of a fixture, by their paths. */
export const filesOf = (name: string): Map<string, Uint8Array> =>
  new Map(
    readdirSync(`${FOLDER}/${name}`, { recursive: true, withFileTypes: true }).flatMap((entry) => {
      const path = join(entry.parentPath, entry.name);
      return entry.isFile() ? [[relative(`${FOLDER}/${name}`, path), new Uint8Array(readFileSync(path))] as const] : [];
    }),
  );

/** A session with a fixture in it. */
export async function opened(
  files: Map<string, Uint8Array>,
  options: EngineOptions = {},
  gpu: GPU | null = null,
): Promise<Session> {
  const session = createSession(host({ files, gpu }));
  await load(session, { ...EXACT, ...options });
  return session;
}

export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    dot += a[i] * b[i];
    aa += a[i] ** 2;
    bb += b[i] ** 2;
  }
  return dot / Math.sqrt(aa * bb);
}

/** @param options which executor */
export function readsAsTransformersDoes(options: EngineOptions, gpu: GPU | null = null): void {
  const sessions: Session[] = [];
  const openNow = async (name: string) => {
    const session = await opened(filesOf(name), options, gpu);
    sessions.push(session);
    return session;
  };
  afterAll(async () => {
    for (const session of sessions.splice(0)) await session.dispose();
  });

  describe.each(EMBEDDERS)('%s', (name) => {
    const session = openNow(name);
    session.catch(() => {});
    it.each(casesOf(name).map((one) => [JSON.stringify(one.given), one] as const))(
      '%s: as sentence-transformers embeds it',
      async (_, { given, texts, ids, vectors }) => {
        const made = await (await session).embed({ id: nextId(), texts, options: given });
        expect(made.ids).toEqual(ids);
        expect(made.dimensions).toBe(vectors[0].length);
        expect(made.tokens).toBe(ids.flat().length);
        made.embeddings.forEach((vector, i) => {
          expect(vector).toHaveLength(vectors[i].length);
          expect(cosine(vector, vectors[i])).toBeGreaterThan(0.9999);
          const length = Math.hypot(...vectors[i]);
          expect(Math.abs(Math.hypot(...vector) / length - 1)).toBeLessThan(1e-3);
        });
      },
    );
  });

  describe(RERANKER, () => {
    const session = openNow(RERANKER);
    session.catch(() => {});
    const { rerank, score } = reranked();
    it.each(rerank)('judges documents as transformers does: $instruction', async ({ query, documents, ...rest }) => {
      const pairs = documents.map((document) => ({ query, document }));
      const given = { instruction: rest.instruction ?? undefined };
      const { scores, tokens, reusedTokens } = await (await session).rerank({ id: nextId(), pairs, options: given });
      scores.forEach((one, i) => {
        expect(Math.abs(one - rest.scores[i])).toBeLessThan(1e-4);
      });
      // they begin alike, and the first is read whole
      expect(reusedTokens).toBeGreaterThan(tokens / 2);
      expect(reusedTokens).toBeLessThan((tokens * (documents.length - 1)) / documents.length);
    });

    it('finds texts as likely as transformers does', async () => {
      const scored = await (await session).score({ id: nextId(), texts: [...score.texts, score.ids[0]] });
      expect(scored.map(({ ids }) => ids)).toEqual([...score.ids, score.ids[0]]);
      [...score.logProbs, score.logProbs[0]].forEach((right, i) => {
        expect(scored[i].logProbs).toHaveLength(right.length);
        scored[i].logProbs.forEach((log, place) => {
          expect(Math.abs(log - right[place])).toBeLessThan(1e-4);
        });
        expect(scored[i].sum).toBeCloseTo(
          right.reduce((sum, value) => sum + value, 0),
          3,
        );
      });
    });
  });
}
