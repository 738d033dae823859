/** LoRA adapters as a caller names them. */
import { HUB_OPTIONS } from '../options/load';
import { checkOptions, type Specs } from '../options/spec';
import type { LoraDescription } from '../protocol';
import type { HubOptions } from './hub-options';
import { describeModel, type ModelInput } from './model-source';

/**
 * A LoRA adapter as PEFT saves it, named as a model is; `scale` multiplies its own scaling (default: 1, as it was
 * trained).
 */
export type LoraInput = ModelInput | ({ adapter: ModelInput; scale?: number } & HubOptions);

const LORA_INPUT = {
  ...HUB_OPTIONS,
  adapter: { type: 'any', says: 'The adapter, named as a model is.' },
  scale: { type: 'number', least: -1e6, most: 1e6, says: 'Multiplies its own scaling.' },
} as const satisfies Specs;

/** One adapter is as good as a list of one; a list of Files is the files of one. */
export function describeLora(lora: LoraInput | readonly LoraInput[]): Promise<LoraDescription[]> {
  const isList = Array.isArray(lora) && !(lora.length > 0 && lora.every((file) => file instanceof Blob));
  return Promise.all(
    (isList ? lora : [lora as LoraInput]).map(async (input) => {
      if (typeof input !== 'object' || input === null || !('adapter' in input))
        return { source: await describeModel(input, {}, undefined, 'lora'), scale: 1 };
      const { adapter, scale = 1, ...hub } = checkOptions<Exclude<typeof input, ModelInput>>(LORA_INPUT, input);
      return { source: await describeModel(adapter!, hub, undefined, 'adapter'), scale };
    }),
  );
}
