/** Where this machine's Chromium is, and the flags that the tests and `npm start` run it with. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ON_SWIFTSHADER } from '../../src/gpu/on-swiftshader.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** No request but ours leaves the browser; `--no-sandbox` because containers run as root. */
export const QUIET_FLAGS = [
  '--no-sandbox',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-default-apps',
  '--no-first-run',
];

/** WebGPU on SwiftShader. Playwright's own `--disable-gpu` must go too: see WEBGPU_IGNORED. */
export const WEBGPU_FLAGS = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];
export const WEBGPU_IGNORED = ['--disable-gpu'];
/** For tests. Benches measure without it, as browsers are. */
export const COMPILE_FLAG = `--${ON_SWIFTSHADER[0]}`;

function onPath(name: string): string | null {
  for (const folder of (process.env.PATH ?? '').split(':')) {
    const path = join(folder, name);
    if (folder !== '' && existsSync(path)) return path;
  }
  return null;
}

/** Playwright's own download, when there is one. */
async function playwrights(): Promise<string | null> {
  const { chromium } = await import('@playwright/test');
  const path = chromium.executablePath();
  return path !== '' && existsSync(path) ? path : null;
}

/** NIBBLE_CHROMIUM, else the system's Chromium or Chrome, else Playwright's; null when there is none. */
export async function findChromium(): Promise<string | null> {
  const named = process.env.NIBBLE_CHROMIUM;
  if (named) {
    if (!existsSync(named)) throw new Error(`NIBBLE_CHROMIUM is ${named}, and no such file exists.`);
    return named;
  }
  return NAMES.map(onPath).find((path) => path !== null) ?? (await playwrights());
}

/** findChromium(), installing one where there is none: apt when root, else Playwright's download. */
export async function installChromium(): Promise<string> {
  const found = await findChromium();
  if (found !== null) return found;
  console.log('No Chromium found: installing one.');
  if (process.getuid?.() === 0 && onPath('apt-get') !== null) {
    spawnSync('apt-get', ['update', '-qq'], { stdio: 'inherit' });
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium'], {
      stdio: 'inherit',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  } else {
    spawnSync('npx', ['playwright', 'install', 'chromium'], { stdio: 'inherit' });
  }
  const installed = await findChromium();
  if (installed === null) {
    throw new Error('The tests need a Chromium. Install one, or set NIBBLE_CHROMIUM to its executable.');
  }
  return installed;
}

/** Folder with Chromium's own libraries: /usr/bin/chromium is a shell script that names /usr/lib/chromium. */
function libraryFolder(executable: string): string | null {
  const folders = [dirname(realpathSync(executable)), '/usr/lib/chromium', '/opt/google/chrome'];
  return folders.find((folder) => existsSync(join(folder, 'vk_swiftshader_icd.json'))) ?? null;
}

/**
 * The environment in which Dawn in Node finds a Vulkan driver: nothing where the system has chosen one
 * (VK_ICD_FILENAMES), else the SwiftShader that comes with Chromium. The loader reads LD_LIBRARY_PATH when a process
 * starts, so this is for child processes.
 */
export function vulkanEnvironment(executable: string | null): Record<string, string> {
  const folder = executable === null ? null : libraryFolder(executable);
  if (folder === null || process.env.VK_ICD_FILENAMES) return {};
  return {
    VK_ICD_FILENAMES: join(folder, 'vk_swiftshader_icd.json'),
    LD_LIBRARY_PATH: [folder, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
  };
}

/** "Chromium 156.0.8078.79 …", for reports. */
export function chromiumVersion(executable: string): string {
  return execFileSync(executable, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
}
