/** What a generation_config.json asks for, beside what transformers makes of it (reference/fixtures_sampler.py). */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { adjusted, keptOf } from '../execute/sampler/chain';
import { GONE } from '../execute/sampler/options';
import { StepRules } from '../execute/sampler/step-rules';
import type { JsonObject } from '../formats/json';
import { modelDefaults } from './model-defaults';
import { effectiveOptions, sampleOf } from './sampling-options';

interface Case {
  config: JsonObject;
  logits: number;
  answer: number[];
  /** how many ids are left, their sum, and the least likely */
  kept: number;
  sum: number;
  least: number;
  /** the likeliest and their probabilities */
  ids: number[];
  p: number[];
}
const fixture = JSON.parse(readFileSync('reference/fixtures/sampler/transformers.json', 'utf8')) as {
  prompt: number[];
  eos: number[];
  logits: number[][];
  cases: Case[];
};

/** Ids that may be drawn, the likeliest first, with their probabilities. */
async function left({ config, logits: which, answer }: Case): Promise<[id: number, p: number][]> {
  const logits = Float32Array.from(fixture.logits[which]);
  const ids = [...fixture.prompt, ...answer];
  const options = effectiveOptions({ seed: 1 }, config, 50, fixture.prompt.length);
  expect(modelDefaults(config)).toMatchObject({ bad: [], undone: [] });
  const stopIds = new Set(fixture.eos);
  const sample = sampleOf(options, { ids: fixture.prompt, made: answer, stopIds, tokenText: () => '' });
  const rules = new StepRules(sample, logits.length);
  if (rules.history.ids.length > 0) expect(rules.history.ids).toEqual(ids);
  const now = adjusted(logits, sample, { history: rules.history, ...(await rules.next(0)) });
  const { least, most, temperature } = keptOf(now, sample, answer.length);
  const gone = Math.max(...now) - GONE;
  const kept = [...now.keys()].filter((id) => now[id] >= least && now[id] <= most && now[id] > gone);
  const weights = kept.map((id) => Math.exp((now[id] - Math.max(...now)) / temperature));
  const mass = weights.reduce((sum, weight) => sum + weight, 0);
  return kept.map((id, i): [number, number] => [id, weights[i] / mass]).sort(([, a], [, b]) => b - a);
}

describe('what is left to draw from is what transformers leaves', () => {
  const configs = new Set(fixture.cases.map(({ config }) => JSON.stringify(config)));
  it.each([...configs])('%s', async (config) => {
    for (const one of fixture.cases.filter((each) => JSON.stringify(each.config) === config)) {
      const kept = await left(one);
      const ids = kept.map(([id]) => id);
      expect([ids.length, ids.reduce((sum, id) => sum + id, 0), ids.at(-1)]).toEqual([one.kept, one.sum, one.least]);
      const shown = kept.slice(0, one.ids.length);
      // two that are all but as likely may change places
      const p = new Map(shown);
      for (const [i, id] of one.ids.entries()) expect(Math.abs(p.get(id)! - one.p[i])).toBeLessThan(1e-6);
    }
  });

  it('in cases that leave one, some, and all', () => {
    const counts = fixture.cases.map(({ kept }) => kept);
    expect([Math.min(...counts), Math.max(...counts)]).toEqual([1, fixture.logits[0].length]);
    expect(new Set(counts).size).toBeGreaterThan(25);
  });
});
