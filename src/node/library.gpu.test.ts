/** The library in Node where the package `webgpu` is installed: Dawn computes, in the thread. */
import { rm, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { application, FIXTURES, start } from './test/built';

it('computes on Dawn as on the CPU, and a program without dispose() ends by itself', async () => {
  const app = await application(['index', 'worker']);
  try {
    await symlink(resolve('node_modules/webgpu'), join(app, 'node_modules/webgpu'));
    await writeFile(
      join(app, 'main.mjs'),
      `import { load } from 'nibble-llm';
       const seen = {};
       for (const backend of ['webgpu', 'cpu']) {
         const engine = await load(${JSON.stringify(join(FIXTURES, 'tiny-llama-128/nf4'))}, { backend, tune: 'small', kv: 'f32' });
         const { ids } = await engine.generate([1, 2, 3], { maxNewTokens: 4, ignoreEos: true }).result;
         seen[(await engine.info()).backend] = ids;
       }
       console.log(JSON.stringify(seen));`,
    );
    const { status, out } = await start(['main.mjs'], { cwd: app }).done;
    expect(status).toBe(0);
    const seen = JSON.parse(out);
    expect(seen.webgpu).toHaveLength(4);
    expect(seen.webgpu).toEqual(seen.cpu);
  } finally {
    await rm(app, { recursive: true });
  }
});

it('a command that starts over with SwiftShader hands on what it read on standard input', async () => {
  const app = await application(['cli']);
  try {
    await symlink(resolve('node_modules/webgpu'), join(app, 'node_modules/webgpu'));
    const model = join(FIXTURES, 'tiny-llama-128/nf4');
    const ask = (backend: string) =>
      start(
        ['node_modules/nibble-llm/bin/nibble.js', 'generate', model, '--ids', '-', '--max-new-tokens', '4'].concat([
          '--ignore-eos',
          '--backend',
          backend,
          '--tune',
          'small',
          '--kv',
          'f32',
          '--json',
        ]),
        { cwd: app, input: '1,2,3', env: { VK_ICD_FILENAMES: '/nowhere.json', LD_LIBRARY_PATH: '' } },
      ).done;
    const [gpu, cpu] = [await ask('webgpu'), await ask('cpu')];
    expect(gpu.err).toMatch(/using the SwiftShader of/);
    expect(JSON.parse(gpu.out).ids).toEqual(JSON.parse(cpu.out).ids);
  } finally {
    await rm(app, { recursive: true });
  }
});
