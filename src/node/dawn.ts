/**
 * WebGPU in Node: Dawn, from the npm package `webgpu`, loaded only when a GPU may answer. Where the system has no
 * Vulkan driver, `--backend webgpu` uses the SwiftShader that comes with an installed Chromium; Vulkan's loader reads
 * its environment when a process starts, so the command starts over in a child.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NibbleError } from '../errors';
import { ON_SWIFTSHADER } from '../gpu/on-swiftshader';
import { stdinRead } from './terminal';

/** Dawn stops the process when the object that create() returned is collected, so it is kept for good. */
const kept: GPU[] = [];

/**
 * Dawn has no shader-f16 on NVIDIA's Vulkan drivers without this (crbug.com/42251215; its description in
 * src/dawn/native/Toggles.cpp), and a page cannot ask for it. Elsewhere it changes nothing.
 */
const F16_ON_NVIDIA = 'vulkan_enable_f16_on_nvidia';
/**
 * What browsers have behind flags, subgroup matrices among it. Off where a model is loaded: Dawn then checks less of
 * each call, and a device with subgroup matrices has all of its kernels compiled for Vulkan's memory model, which is
 * another way through the driver (Toggles.cpp). Benches ask for it.
 */
const EXPERIMENTAL = 'allow_unsafe_apis';

/** Folders where Chromium keeps its own libvulkan.so.1 and SwiftShader. */
const CHROMIUM_FOLDERS = ['/usr/lib/chromium', '/usr/lib/chromium-browser', '/opt/google/chrome'];
/** Set in the child, so that it does not start another. */
export const CHILD = 'NIBBLE_SWIFTSHADER';

/**
 * Dawn's navigator.gpu, or null when the package is not installed or does not load here.
 * @param experimental with what is behind flags in browsers
 */
export async function loadDawn(adapter: string | undefined, experimental = false): Promise<GPU | null> {
  try {
    // Mesa's drivers complain on stderr where it is unset, and need nothing from it.
    process.env.XDG_RUNTIME_DIR ??= tmpdir();
    const { create, globals } = await import('webgpu');
    Object.assign(globalThis, globals);
    const where = adapter ? [`adapter=${adapter}`] : process.env[CHILD] ? ON_SWIFTSHADER : [];
    const toggles = [F16_ON_NVIDIA, ...(experimental ? [EXPERIMENTAL] : [])];
    const gpu = create([`enable-dawn-features=${toggles}`, ...where]) as GPU;
    kept.push(gpu);
    return gpu;
  } catch {
    return null;
  }
}

/**
 * Dawn's GPU as it is to a session that may never ask for it: loaded with the first adapter that is asked for.
 * requestAdapter() fails with webgpu-unavailable, and with what to install
 * @param adapter by a part of its name
 */
export function lazyDawn(adapter?: string): GPU {
  let dawn: Promise<GPU | null> | undefined;
  const requestAdapter: GPU['requestAdapter'] = async (options) => {
    dawn ??= loadDawn(adapter);
    const found = await (await dawn)?.requestAdapter(options);
    if (found) return found;
    const text = kept.length > 0 ? 'Dawn finds no graphics adapter here. Install a Vulkan driver' : NO_DAWN;
    throw new NibbleError('webgpu-unavailable', `${text}, or load with backend: 'cpu'.`);
  };
  return { requestAdapter } as GPU;
}

const NO_DAWN = 'WebGPU in Node needs the npm package webgpu: npm install webgpu';

/**
 * The GPU for a backend option: null for the CPU; for `webgpu` one that has an adapter.
 * @param experimental with what is behind flags in browsers
 * @throws webgpu-unavailable; SwiftShaderChild when the command should start over
 */
export async function gpuFor(
  backend: string | undefined,
  adapter: string | undefined,
  experimental = false,
): Promise<GPU | null> {
  if (backend === 'cpu') return null;
  const gpu = await loadDawn(adapter, experimental);
  if (backend !== 'webgpu') return gpu;
  if (!gpu) {
    throw new NibbleError('webgpu-unavailable', `${NO_DAWN}, or use --backend cpu.`);
  }
  let why = '';
  const found = await gpu.requestAdapter().catch((error: unknown) => {
    why = String(error);
    return null;
  });
  if (found) return gpu;
  const folder = CHROMIUM_FOLDERS.find((candidate) => existsSync(join(candidate, 'vk_swiftshader_icd.json')));
  if (folder && !adapter && !process.env[CHILD]) throw new SwiftShaderChild(folder);
  throw new NibbleError(
    'webgpu-unavailable',
    `Dawn finds no ${adapter ? `adapter named ${adapter}` : 'graphics adapter'} here${why ? ` (${why})` : ''}. Install a Vulkan driver or Chromium, or use --backend cpu.`,
    { adapter: adapter ?? null },
  );
}

/** Thrown to the top: run the same command in a process that sees SwiftShader. */
export class SwiftShaderChild extends Error {
  constructor(private readonly folder: string) {
    super('start over with SwiftShader');
  }

  /** @returns the child's exit status */
  run(): Promise<number> {
    process.stderr.write(`No Vulkan driver here: using the SwiftShader of ${this.folder}.\n`);
    const env = {
      ...process.env,
      [CHILD]: '1',
      VK_ICD_FILENAMES: join(this.folder, 'vk_swiftshader_icd.json'),
      LD_LIBRARY_PATH: [this.folder, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
    };
    const given = stdinRead();
    const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      env,
      stdio: [given ? 'pipe' : 'inherit', 'inherit', 'inherit', 'ipc'],
    });
    // it may end without having read it
    if (given) child.stdin!.on('error', () => {}).end(given);
    // the terminal's Ctrl-C reaches both, a signal to this process only this one: it alone tells the child
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.connected && child.send('stop'));
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) => resolve(code ?? (signal ? 128 : 1)));
    });
  }
}
