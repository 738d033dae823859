/** All adapters that are asked for, opened and combined. */
import { NibbleError } from '../errors';
import type { FileSize, ReadBytes } from '../formats/layout';
import type { ActiveAdapters } from '../memory/adapted';
import type { ModelSpec } from '../model/spec';
import type { Step } from '../model/steps';
import type { LoraInfo } from '../protocol';
import { combineAdapters, type FormatOf, type ScaledAdapter } from './combine';
import { adaptableModules } from './modules';
import { openAdapter } from './peft';

export interface WantedAdapter {
  name: string;
  scale: number;
  read: ReadBytes;
  size: FileSize;
}

/** @throws invalid-option, corrupt-checkpoint, unsupported-architecture */
export async function openAdapters(
  { steps, spec }: { steps: readonly Step[]; spec: ModelSpec },
  wanted: readonly WantedAdapter[],
  formatOf: FormatOf,
): Promise<{ active: ActiveAdapters; infos: LoraInfo[] }> {
  const targets = adaptableModules(steps, spec);
  const adapters: ScaledAdapter[] = [];
  for (const { name, scale, read, size } of wanted) {
    if (!Number.isFinite(scale)) {
      throw new NibbleError('invalid-option', `The scale of ${name} must be a number, not ${scale}.`, {
        option: 'scale',
        value: String(scale),
      });
    }
    adapters.push({ adapter: await openAdapter(name, targets, read, size), scale });
  }
  return { active: combineAdapters(steps, adapters, formatOf), infos: adapters.map(infoOf) };
}

const distinct = (values: readonly number[]): number[] => [...new Set(values)].sort((a, b) => a - b);

function infoOf({ adapter: { name, dora, modules, whole, tokens, bytes }, scale }: ScaledAdapter): LoraInfo {
  const changed = new Set([...[...modules, ...tokens].map(({ target }) => target), ...whole.keys()]);
  return {
    name,
    scale,
    dora,
    modules: changed.size,
    ranks: distinct(modules.map(({ rank }) => rank)),
    scalings: distinct(modules.map(({ scaling }) => scaling * scale)),
    bytes,
  };
}
