import { describe, expect, it } from 'vitest';
import { type Constants, defaultsOf, preprocess } from './preprocess';

const run = (source: string, constants: Constants = {}, library: Record<string, string> = {}) =>
  preprocess(source, constants, library);

describe('the WGSL preprocessor', () => {
  it('puts constants in, the longest name first, of any type', () => {
    expect(run('$ROWSu $ROWS_X $ON $NAME', { ROWS: 3, ROWS_X: 4, ON: true, NAME: 'x + 1.0' })).toBe(
      '3u 4 true x + 1.0',
    );
  });
  it('leaves WGSL alone', () => {
    const source = '@group(0) fn f(a: u32) -> u32 { return a; } // 5 $ 6';
    expect(run(source)).toBe(source);
  });
  it('keeps or drops blocks, nested, negated, with an else', () => {
    const source = ['#if A', 'a', '#if !B', 'not b', '#else', 'b', '#end', '#else', 'not a', '#end'].join('\n');
    expect(run(source, { A: true, B: true })).toBe('a\nb');
    expect(run(source, { A: 1, B: 0 })).toBe('a\nnot b');
    expect(run(source, { A: false })).toBe('not a');
    expect(run(source, { A: '' })).toBe('not a');
  });
  it('does not look into blocks that are dropped', () => {
    expect(run('#if A\n$MISSING\n#include nothing\n#end\nx', { A: false })).toBe('x');
  });
  it('repeats by number and by constant, nested, with both indices', () => {
    const source = '#repeat r 2\n#repeat t COUNT\nvar s$r_$t;\n#end\nend$r;\n#end';
    expect(run(source, { COUNT: 2 })).toBe('var s0_0;\nvar s0_1;\nend0;\nvar s1_0;\nvar s1_1;\nend1;');
    expect(run('#repeat r 0\nx\n#end\ny')).toBe('y');
  });
  it('keeps an index to its block', () => {
    expect(() => run('#repeat r 1\n$r\n#end\n$r')).toThrow(/constant r is not defined/);
  });
  it('includes by name and by constant, with the constants and indices in force', () => {
    expect(run('#include $KIND', { KIND: 'a', N: 2 }, { a: 'n = $N;\n#include b', b: 'b' })).toBe('n = 2;\nb');
    expect(run('#repeat i 2\n#include a\n#end', {}, { a: 'x$i' })).toBe('x0\nx1');
  });
  it('takes indented directives', () => {
    expect(run('  #if A\n  x\n  #end', { A: true })).toBe('  x');
  });
  it.each([
    ['$A', 'constant A is not defined'],
    ['#if A\n#end', 'constant A is not defined'],
    ['#repeat r A\n#end', 'constant A is not defined'],
    ['#include a', 'include a does not exist'],
    ['x\n#if ON\ny', 'block of line 2 has no #end'],
    ['x\n#end', '#end without a block, line 2'],
    ['#else', '#else without a block, line 1'],
  ])('refuses %j', (source, message) => {
    expect(() => run(source, { ON: true })).toThrow(message);
  });
});

describe('a shader taken alone', () => {
  it('has the values of its comments, before those of what it includes', () => {
    const library = { a: '// Defaults: N = 1; LIST =\n#include b', b: '// Defaults: M = 2; SCALE = 1.0' };
    const source = '// Of its own.\n// Defaults: N = 3; KIND = a\n// Defaults: ON = true\n#include $KIND\n';
    expect(defaultsOf(source, library)).toEqual({ N: 3, KIND: 'a', ON: true, LIST: '', M: 2, SCALE: '1.0' });
  });
});
