import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { countCompilations } from '../test/count-compilations';

const fresh = async () => (await import('./arithmetic')).arithmetic;
beforeEach(() => void vi.resetModules());
afterEach(() => void vi.unstubAllGlobals());

it('compiles once, when it is asked first', async () => {
  const compilations = countCompilations();
  try {
    const arithmetic = await fresh();
    expect(compilations.count).toBe(0);
    expect(arithmetic().name).toBe('webassembly-simd');
    expect(arithmetic()).toBe(arithmetic());
    expect(arithmetic('int16').name).toBe('webassembly-simd, int16');
    expect(compilations.count).toBe(1);
  } finally {
    compilations.restore();
  }
});

it('is told by an instance that is refused, where a policy lets modules be compiled (WebKit)', async () => {
  const { Module, Memory, validate } = WebAssembly;
  const Instance = class {
    constructor() {
      throw new Error('Refused to create a WebAssembly object');
    }
  };
  vi.stubGlobal('WebAssembly', { Module, Memory, validate, Instance });
  expect((await fresh())().name).toBe("javascript: WebAssembly is forbidden by the page's policy");
});

it.each<[string, object | undefined, string]>([
  ['a policy forbids it', { validate: () => true }, "javascript: WebAssembly is forbidden by the page's policy"],
  ['it has no SIMD', { validate: () => false }, 'javascript: WebAssembly has no SIMD in this browser'],
  ['there is none', undefined, 'javascript: there is no WebAssembly here'],
])('says which way it is and why: %s', async (_, stub, name) => {
  const Module = class {
    constructor() {
      throw new WebAssembly.CompileError('no');
    }
  };
  const CompileError = WebAssembly.CompileError;
  vi.stubGlobal('WebAssembly', stub && { ...stub, Module, CompileError });
  const arithmetic = await fresh();
  expect(arithmetic().name).toBe(name);
  expect(arithmetic()).toBe(arithmetic());
  expect(arithmetic('int16')).toBe(arithmetic());
});
