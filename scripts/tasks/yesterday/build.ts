/** The version of yesterday's visitors, built from this repository's history. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** package.json calls it 0.1.0; there is no tag. */
export const COMMIT = '227f3d8';

/**
 * The `dist` folder of that commit, with packages of its own. It is built once, which takes minutes, and kept in the
 * system's folder for temporary files; NIBBLE_YESTERDAY names one that is there already.
 * @throws Error where the history does not go back so far (a shallow clone), or the build fails
 */
export function yesterdaysBuild(): string {
  const named = process.env.NIBBLE_YESTERDAY;
  if (named && existsSync(join(named, 'site/index.html'))) return resolve(named);
  const folder = join(tmpdir(), `nibble-${COMMIT}`);
  const dist = join(folder, 'dist');
  if (existsSync(join(dist, 'site/sw.js'))) return dist;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const archive = execFileSync('git', ['archive', COMMIT], { maxBuffer: 2 ** 30 });
  execFileSync('tar', ['-x', '-C', folder], { input: archive });
  const run = (program: string, ...args: string[]) => execFileSync(program, args, { cwd: folder, stdio: 'inherit' });
  run('npm', 'ci', '--no-audit', '--no-fund');
  run('node', 'scripts/run.mjs', 'build', '--no-types');
  return dist;
}
