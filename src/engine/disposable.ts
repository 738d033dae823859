/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `using` and `await using`: what has a dispose() also has it by the language's own names, where the browser knows them
 * (a method with a computed name would be called "undefined" elsewhere). Classes declare them as fields.
 */
export function disposable(prototype: { dispose(): unknown }): void {
  const value = function (this: { dispose(): unknown }) {
    return this.dispose();
  };
  for (const name of [Symbol.dispose, Symbol.asyncDispose]) {
    if (name) Object.defineProperty(prototype, name, { value, configurable: true, writable: true });
  }
}
