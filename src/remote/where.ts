/** What load() is told of a server that may answer. */
import type { RemoteOptions } from './connection';

/** Which of the two answers, where load() is given a server. */
export interface WhereOptions {
  /** A server that may answer: its address, and the model's name there. Nothing is sent unless `where` says so. */
  remote?: RemoteOptions;
  /**
   * Who answers. 'device' (default): the model on this device alone; nothing is ever sent. 'server': the server alone;
   * nothing is loaded. 'device-first': the server while the model downloads, where it does not fit or cannot run, where
   * the CPU is slower than `minTokensPerSecond`, and after a device that was lost twice within a minute.
   * 'server-first': the server, and where the network or the server fails before the first token, this device, onto
   * which the model is loaded then. No answer comes from both: one that breaks in the middle fails, and can be asked
   * again.
   */
  where?: 'device' | 'server' | 'device-first' | 'server-first';
  /**
   * With 'device-first', where there is no GPU: a speed below which the server goes on answering, as measured once when
   * the model is here. 0: none is too slow. Default: 5.
   */
  minTokensPerSecond?: number;
}
