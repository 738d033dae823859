import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { preprocess } from '../../src/gpu/preprocess.ts';
import { faults } from '../../src/gpu/test-device.ts';
import { variantsOf } from '../../src/kernels/test/shader-variants.ts';
import { minifiedShaders, minifyWgsl, shortNames, withNames } from './vite-wgsl';

describe('minifyWgsl', () => {
  test('drops comments, nested ones too, and spare blanks', () => {
    const source = `// a kernel
fn main( ) -> f32 { /* one /* two */ still */
  let a = b[ i ] ; // end

  return a  + 1.0;
}`;
    expect(minifyWgsl(source)).toBe('fn main()->f32{\nlet a=b[i];\nreturn a + 1.0;\n}');
  });

  test('keeps what blanks keep apart', () => {
    // `- -` must not become `--`, nor `/ *` a comment
    expect(minifyWgsl('let x = a - -b / *c;')).toBe('let x=a - -b / *c;');
    expect(minifyWgsl('return\nx')).toBe('return\nx');
    expect(minifyWgsl('sum += a[i] * (b * -c) / *d * $Nu;')).toBe('sum+=a[i]*(b * -c)/ *d*$Nu;');
  });

  test('leaves the preprocessor’s lines alone', () => {
    expect(minifyWgsl('  #if  A  // why\n x = 1 ;\n#end')).toBe('#if  A\nx=1;\n#end');
  });
});

describe('short names', () => {
  test('are for what is declared, and not for what WGSL has', () => {
    const source = `struct Pair{first_one:u32,x:u32}
fn main(@builtin(subgroup_size)subgroup_size:u32){
let row_of=$ROWS + step(first_one.first_one,row_of);
}`;
    const names = shortNames([source]);
    expect([...names.keys()]).toEqual(['first_one', 'row_of', 'Pair']);
    expect(withNames(source, names)).toBe(`struct C{A:u32,x:u32}
fn main(@builtin(subgroup_size)subgroup_size:u32){
let B=$ROWS + step(A.A,B);
}`);
  });

  test('go before an index, and leave the preprocessor’s names and numbers', () => {
    const source = '#repeat count LANES\nlet count$i_$j=0x1fu + count0_$j*$COUNTu + count0_1;\n#end';
    expect(withNames(source, shortNames([source]))).toBe(
      '#repeat count LANES\nlet A$i_$j=0x1fu + A0_$j*$COUNTu + A0_1;\n#end',
    );
  });

  test('are not those that are there', () => {
    const source = 'let total=A + total;';
    expect(withNames(source, shortNames([source]))).toBe('let B=A + B;');
  });

  test('keep every shader valid, in all of its branches', async () => {
    const sources = await minifiedShaders();
    const names = shortNames(sources.values());
    expect(new Set(names.values()).size).toBe(names.size);
    const short = new Map([...sources].map(([path, source]) => [path, withNames(source, names)]));
    const isIncluded = (path: string) => path.includes('/lib/');
    const included = [...short].filter(([path]) => isIncluded(path));
    const library = Object.fromEntries(included.map(([path, source]) => [basename(path, '.wgsl'), source]));
    let compiled = 0;
    for (const [path, source] of [...short].filter(([one]) => !isIncluded(one))) {
      const branches = variantsOf(await readFile(path, 'utf8'));
      for (const constants of branches) {
        const code = preprocess(source, constants, library);
        expect(await faults(code), `${basename(path)} ${JSON.stringify(constants)}`).toEqual([]);
        compiled++;
      }
    }
    expect(compiled).toBeGreaterThan(200);
  });
});
