import { describe, expect, test } from 'vitest';
import { minifyWgsl } from './vite-wgsl';

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
