/** For tests: how often WebAssembly is compiled, in any of the ways that there are. */

/** Counts from now on; `restore` ends it. */
export function countCompilations(): { readonly count: number; restore(): void } {
  let count = 0;
  const { Module, compile, instantiate, compileStreaming, instantiateStreaming } = WebAssembly;
  const own = { Module, compile, instantiate, compileStreaming, instantiateStreaming };
  for (const [name, way] of Object.entries(own)) {
    if (!way) continue;
    const counted = new Proxy(way, {
      apply(target, self, given) {
        count++;
        return Reflect.apply(target, self, given);
      },
      construct(target, given) {
        count++;
        return Reflect.construct(target, given);
      },
    });
    Object.assign(WebAssembly, { [name]: counted });
  }
  return {
    get count() {
      return count;
    },
    restore: () => void Object.assign(WebAssembly, own),
  };
}
