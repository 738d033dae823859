/** Registers an element unless its name is taken: a page may load the widget's script twice. */
export function defineElement(name: string, element: CustomElementConstructor): void {
  if (!customElements.get(name)) customElements.define(name, element);
}
