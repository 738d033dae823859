/** Numbers as people read them. 1 MB is 1,000,000 bytes, as in a download list. */

const digits = (value: number) => (value < 10 ? 1 : 0);

/** "84 MB", "1.2 GB", "3 KB" */
export function formatBytes(bytes: number): string {
  if (bytes < 1e5) return `${Math.ceil(bytes / 1e3)} KB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(digits(bytes / 1e6))} MB`;
  return `${(bytes / 1e9).toFixed(digits(bytes / 1e9))} GB`;
}

/** "8.4 MiB", "42 MiB", "4.38 GiB": memory comes in powers of two, downloads do not */
export function formatMemory(bytes: number): string {
  const [unit, name, places] =
    bytes >= 2 ** 30 ? [2 ** 30, 'GiB', 2] : bytes >= 2 ** 20 / 10 ? [2 ** 20, 'MiB', 1] : [2 ** 10, 'KiB', 0];
  const value = bytes / unit;
  return `${Number(value.toFixed(value < 100 ? places : 0)).toLocaleString('en')} ${name}`;
}

/** "12 of 84 MB": one unit, the total's */
export function formatBytesOf(loaded: number, total: number): string {
  const [unit, name] = total >= 1e9 ? [1e9, 'GB'] : total >= 1e5 ? [1e6, 'MB'] : [1e3, 'KB'];
  const places = digits(total / unit);
  return `${(loaded / unit).toFixed(places)} of ${(total / unit).toFixed(places)} ${name}`;
}

/** "4 s", "2 min", "1 h 5 min" */
export function formatSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** "134.5 M", "7.2 B": parameters and the like */
export function formatCount(count: number): string {
  const [unit, name] = count >= 1e9 ? [1e9, 'B'] : count >= 1e5 ? [1e6, 'M'] : [1e3, 'K'];
  const value = count / unit;
  return `${value.toFixed(value < 100 ? 1 : 0)} ${name}`;
}

const DAY_MS = 86_400_000;

/** "today", "yesterday", "12 days ago", "3 months ago": by the days between two moments, ms since 1970 */
export function formatAgo(then: number, now = Date.now()): string {
  const midnight = (ms: number) => new Date(ms).setHours(0, 0, 0, 0);
  const days = Math.round((midnight(then) - midnight(now)) / DAY_MS);
  const words = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
  return days > -60 ? words.format(Math.min(0, days), 'day') : words.format(Math.round(days / 30), 'month');
}

/** "4.2", "38": tokens a second and the like */
export const formatRate = (value: number) => value.toFixed(digits(value));
