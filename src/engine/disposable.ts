/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `using` and `await using`: what has a dispose() also has it by the language's own names, where the browser knows them
 * (a method with a computed name would be called "undefined" elsewhere). Classes declare them as fields. And Vue's own
 * mark for what it shall not wrap: private fields cannot be reached through its proxies.
 */
export function disposable(prototype: { dispose(): unknown }): void {
  const value = function (this: { dispose(): unknown }) {
    return this.dispose();
  };
  // without a prototype: a page may have put `get` on that of all objects
  const define = (name: PropertyKey, descriptor: PropertyDescriptor) =>
    Object.defineProperty(prototype, name, Object.assign(Object.create(null), descriptor));
  define('__v_skip', { value: true });
  for (const name of [Symbol.dispose, Symbol.asyncDispose]) {
    if (name) define(name, { value, configurable: true, writable: true });
  }
}
