/**
 * How the page becomes an app of this device. Chromium offers it by an event
 * (https://wicg.github.io/manifest-incubations/#beforeinstallpromptevent-interface); Safari says nothing, and the
 * person does it from a menu.
 */
import { isInstalled } from '../ui/settings/storage-facts';

/** Chromium's own. */
interface InstallPrompt extends Event {
  prompt(): Promise<{ outcome: 'accepted' | 'dismissed' }>;
}

/**
 * 'app': it is one already; 'prompt': the browser asks when install() is called; 'menu': Safari, where the person adds
 * it; 'none': this browser has not said that it can.
 */
export type Installable = 'app' | 'prompt' | 'menu' | 'none';

/** Safari, also on iPads that say they are Macs; all browsers on iOS say they are Safari, too. */
export const isSafari = (userAgent = navigator.userAgent): boolean =>
  /Version\/[\d.]+.*Safari\//.test(userAgent) && !/Chrom(e|ium)|Android/.test(userAgent);

/** Dispatches 'change' when `how` does. */
export class Installer extends EventTarget {
  #prompt: InstallPrompt | null = null;
  #installed = false;

  /** @param offered what the browser has said so far: its event comes once, and early */
  constructor(offered: Event | null = null) {
    super();
    this.#prompt = offered as InstallPrompt | null;
    addEventListener('beforeinstallprompt', (event) => {
      // the page has a button for it, and no bar of the browser's comes over what is read
      event.preventDefault();
      this.#set(event as InstallPrompt);
    });
    addEventListener('appinstalled', () => {
      this.#installed = true;
      this.#set(null);
    });
  }

  get how(): Installable {
    if (this.#installed || isInstalled()) return 'app';
    if (this.#prompt) return 'prompt';
    return isSafari() ? 'menu' : 'none';
  }

  /** Has the browser ask. @returns whether the person agreed; false where it cannot */
  async install(): Promise<boolean> {
    const prompt = this.#prompt;
    if (!prompt) return false;
    // each may be used once
    this.#set(null);
    return (await prompt.prompt()).outcome === 'accepted';
  }

  #set(prompt: InstallPrompt | null): void {
    this.#prompt = prompt;
    this.dispatchEvent(new Event('change'));
  }
}
