/**
 * Whether the browser has stopped this page: a tab that nobody sees may be frozen (the Page Lifecycle), and a page that
 * was left may be kept for the way back. Such a page answers nobody, and what it holds has to go before.
 */
export interface PageLife {
  /** calls what is given when the page is about to be stopped */
  onStop(stop: () => void): void;
  /** resolves when the page runs */
  running(): Promise<void>;
}

export function pageLife(page: EventTarget = document, win: EventTarget = window): PageLife {
  const stops: (() => void)[] = [];
  let stopped: Promise<void> | null = null;
  let go = () => {};
  const stop = () => {
    stopped ??= new Promise((resolve) => {
      go = resolve;
    });
    for (const each of stops) each();
  };
  const resume = () => {
    stopped = null;
    go();
  };
  page.addEventListener('freeze', stop);
  page.addEventListener('resume', resume);
  win.addEventListener('pagehide', (event) => (event as PageTransitionEvent).persisted && stop());
  win.addEventListener('pageshow', resume);
  return { onStop: (stop) => stops.push(stop), running: async () => (await stopped) ?? undefined };
}
