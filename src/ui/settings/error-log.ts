/** The last errors of this visit, without what was said in them: a name, an address or a question may stand there. */
import type { NibbleError } from '../../errors';

export interface NotedError {
  /** ms since 1970 */
  at: number;
  code: string;
  /** the numbers that came with it */
  numbers: Record<string, number>;
}

const MOST = 10;
let noted: readonly NotedError[] = [];

/** The last ones, the oldest first. */
export const lastErrors = (): readonly NotedError[] => noted;

export function noteError({ code, details }: Pick<NibbleError, 'code' | 'details'>, at = Date.now()): void {
  const numbers = Object.entries(details ?? {}).filter(([, value]) => typeof value === 'number');
  noted = [...noted, { at, code, numbers: Object.fromEntries(numbers) as Record<string, number> }].slice(-MOST);
}
