/** The fixtures of every format on this machine's GPU, with every set of shapes: as transformers computes them? */
import { expected, largestDifference, type Maker, openFixture } from '../src/execute/cpu/test/models';
import { createGpuExecutor } from '../src/execute/gpu/executor';
import { SHAPES } from '../src/execute/gpu/shapes';
import { requestGpu } from '../src/gpu/device';

const FIXTURES = [
  ['tiny-llama/bf16', 'f32'],
  ['tiny-llama/nf4', 'keep'],
  ['tiny-llama/nf4-dq', 'keep'],
  ['tiny-llama/nf4-mixed', 'keep'],
  ['tiny-llama/gguf/tiny-llama.gguf', 'keep'],
  ['tiny-llama-odd/bf16', 'keep'],
  ['tiny-llama-odd/nf4', 'keep'],
  ['tiny-llama-128/nf4', 'keep'],
] as const;

export async function main(): Promise<number> {
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  const instance = create([]);
  Object.assign(globalThis, { dawn: instance }); // collected otherwise, which kills the process
  let failed = 0;
  for (const options of [
    { limits: 'adapter', features: 'all' },
    { limits: 'default', features: 'none' },
  ] as const) {
    const gpu = await requestGpu(instance, options);
    console.log(JSON.stringify(gpu.adapter), [...gpu.features].join(' '));
    for (const [variant, shapes] of Object.entries(SHAPES)) {
      for (const kvType of ['f32', 'f16'] as const) {
        for (const [path, weights] of FIXTURES) {
          const maker: Maker = {
            target: 'webgpu',
            make: (model, plan) => createGpuExecutor(gpu, model, plan, { variant, shapes }),
          };
          const { logitScale, prompts } = expected(path.replace(/\/[^/]+\.gguf$/, ''));
          try {
            const { executor } = await openFixture(path, { kvType }, weights, maker);
            let worst = 0;
            let equal = true;
            for (const { ids, positions, logits, greedy, margins } of prompts) {
              await executor.prefill(ids, 0);
              worst = Math.max(
                worst,
                largestDifference(await executor.logits(), logits[positions.indexOf(ids.length - 1)]) / logitScale,
              );
              const out: number[] = [];
              for await (const id of executor.decode(ids.length, 32, { temperature: 0, topK: 0, topP: 1, seed: 0 }))
                out.push(id);
              const tolerance = kvType === 'f32' ? 1e-3 : 5e-3;
              const unsure = margins.findIndex((margin) => margin < 2 * tolerance * logitScale);
              const sure = unsure < 0 ? greedy.length : unsure;
              equal &&= out.slice(0, sure).join() === greedy.slice(0, sure).join();
            }
            const good = equal && worst < (kvType === 'f32' ? 1e-3 : 5e-3);
            if (!good) failed++;
            console.log(
              `${good ? 'ok  ' : 'FAIL'} ${variant} kv ${kvType} ${path} logits ${worst.toExponential(1)} of the scale, ids ${equal ? 'equal' : 'DIFFER'}`,
            );
            executor.dispose();
          } catch (error) {
            failed++;
            console.log('FAIL', variant, kvType, path, (error as Error).message.slice(0, 500));
          }
        }
      }
    }
  }
  console.log(`${failed} failed`);
  return failed ? 1 : 0;
}
