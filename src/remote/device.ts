/** The model on this device, for an engine that has a server, too: whether it is here yet, and fast enough. */
import type { Engine } from '../engine/engine';
import { asNibbleError, type NibbleError } from '../errors';

/** Tokens that are drawn to learn the speed of a CPU: the first ones also build what the later ones use. */
const MEASURED_TOKENS = 8;

export class Device {
  /** the model, when it is here and may answer */
  engine: Engine | null = null;
  /** why it does not answer: a sentence for the person */
  reason = 'The model has not been loaded on this device.';
  readonly #load: () => Promise<Engine>;
  readonly #minTokensPerSecond: number;
  #loading: Promise<Engine | null> | null = null;
  #disposed = false;

  /**
   * @param load loads it
   * @param minTokensPerSecond below this speed a CPU does not answer
   */
  constructor(load: () => Promise<Engine>, minTokensPerSecond: number) {
    this.#load = load;
    this.#minTokensPerSecond = minTokensPerSecond;
  }

  /**
   * Loads it: once, and again where the network broke the download off.
   * @returns the model, or null where it cannot answer: see `reason`
   */
  start(): Promise<Engine | null> {
    this.#loading ??= this.#begin();
    return this.#loading;
  }

  async #begin(): Promise<Engine | null> {
    this.reason = 'The model is on its way to this device.';
    try {
      const engine = await this.#load();
      if (this.#disposed) {
        engine.dispose();
        return null;
      }
      const speed = await this.#tooSlow(engine);
      if (speed !== null) {
        engine.dispose();
        const bound = this.#minTokensPerSecond;
        this.reason = `This device has no GPU, and ${speed.toFixed(1)} tokens a second are fewer than ${bound}.`;
        return null;
      }
      this.engine = engine;
      return engine;
    } catch (error) {
      const { code, message } = asNibbleError(error);
      this.reason = `The model is not on this device: ${message}`;
      // it may be asked for again
      if (code === 'network') this.#loading = null;
      return null;
    }
  }

  /** Tokens a second, where there is no GPU and they are too few; null: it is fast enough. */
  async #tooSlow(engine: Engine): Promise<number | null> {
    if (this.#minTokensPerSecond === 0) return null;
    const { backend, hasTokenizer } = await engine.info();
    if (backend !== 'cpu') return null;
    const prompt = hasTokenizer ? 'Hello' : [1];
    const { stats } = await engine.generate(prompt, { maxNewTokens: MEASURED_TOKENS, ignoreEos: true }).result;
    return stats.decodeTps < this.#minTokensPerSecond ? stats.decodeTps : null;
  }

  /** It answers no more. @param error a loss that it does not recover from */
  giveUp(error: NibbleError): void {
    this.engine?.dispose();
    this.engine = null;
    this.#loading = Promise.resolve(null);
    this.reason = `This device was given up: ${error.message}`;
  }

  dispose(): void {
    this.#disposed = true;
    this.engine?.dispose();
  }
}
