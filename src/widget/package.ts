/** The widget as `import 'nibble-llm/widget'`. On a server, where there are no elements, it does nothing. */
if ('HTMLElement' in globalThis)
  import('./index').catch((error) => console.error('nibble-chat could not be loaded:', error));

export {};
