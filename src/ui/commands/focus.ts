/** Where the focus was, and how it comes back there: it is never lost to the document's body. */

/** The element that has the focus, however deep in shadow trees. */
export function focused(root: DocumentOrShadowRoot = document): HTMLElement | null {
  const element = root.activeElement as HTMLElement | null;
  if (!element || element === document.body) return null;
  return element.shadowRoot?.activeElement ? focused(element.shadowRoot) : element;
}

let otherwise: () => void = () => {};

/** What takes the focus where the element that had it is gone: the composer. */
export function focusOtherwise(focus: () => void): void {
  otherwise = focus;
}

/**
 * Remembers what has the focus now.
 * @returns gives it back; where that element is gone, hidden or disabled, the composer gets it
 */
export function keepFocus(): () => void {
  const before = focused();
  return () => {
    if (before?.isConnected && before.checkVisibility?.() !== false) before.focus();
    if (focused() !== before || before === null) otherwise();
  };
}
