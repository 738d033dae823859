/** The widget as `import 'nibble-llm/widget'`. On a server, where there are no elements, it does nothing. */
if ('HTMLElement' in globalThis) void import('./index');

export {};
