/**
 * Numbers with their units as people read them in a language (BCP 47), by Intl; in English with the signs of the units.
 * 1 MB is 1,000,000 bytes, as in a download list.
 */

const digits = (value: number) => (value < 10 ? 1 : 0);
const exactly = (places: number) => ({ minimumFractionDigits: places, maximumFractionDigits: places });

/** The units that are written here, as English has them; languages have their own. */
const SIGNS = { kilobyte: 'KB', megabyte: 'MB', gigabyte: 'GB', second: 's', minute: 'min', hour: 'h' };
type Unit = keyof typeof SIGNS;

function measure(value: number, unit: Unit, language: string, places = 0, per: '' | '-per-second' = ''): string {
  if (/^en\b/.test(language)) return `${value.toLocaleString(language, exactly(places))} ${SIGNS[unit]}${per && '/s'}`;
  return value.toLocaleString(language, { style: 'unit', unit: unit + per, unitDisplay: 'short', ...exactly(places) });
}

/** "84 MB", "1.2 GB", "3 KB"; with `per`, "9.4 MB/s" */
export function formatBytes(bytes: number, language = 'en', per: '' | '-per-second' = ''): string {
  if (bytes < 1e5) return measure(Math.ceil(bytes / 1e3), 'kilobyte', language, 0, per);
  const [value, unit] = bytes < 1e9 ? [bytes / 1e6, 'megabyte' as const] : [bytes / 1e9, 'gigabyte' as const];
  return measure(value, unit, language, digits(value), per);
}

/** "8.4 MiB", "42 MiB", "4.38 GiB": memory comes in powers of two, downloads do not; Intl has no units for it */
export function formatMemory(bytes: number, language = 'en'): string {
  const [unit, name, places] =
    bytes >= 2 ** 30 ? [2 ** 30, 'Gi', 2] : bytes >= 2 ** 20 / 10 ? [2 ** 20, 'Mi', 1] : [2 ** 10, 'Ki', 0];
  const value = bytes / unit;
  const number = value.toLocaleString(language, { maximumFractionDigits: value < 100 ? places : 0 });
  const said = `${number} ${name}${/^fr\b/.test(language) ? 'o' : 'B'}`;
  // between letters from right to left, number and unit keep their order by an isolate (UAX #9, LRI and PDI)
  return /^ar\b/.test(language) ? `\u2066${said}\u2069` : said;
}

/** "12", "84 MB": one unit, the total's */
export function formatBytesOf(loaded: number, total: number, language = 'en'): { loaded: string; total: string } {
  const [bytes, unit]: [number, Unit] =
    total >= 1e9 ? [1e9, 'gigabyte'] : total >= 1e5 ? [1e6, 'megabyte'] : [1e3, 'kilobyte'];
  const places = digits(total / bytes);
  return {
    loaded: (loaded / bytes).toLocaleString(language, exactly(places)),
    total: measure(total / bytes, unit, language, places),
  };
}

/** "4 s", "2 min", "1 h 5 min" */
export function formatSeconds(seconds: number, language = 'en'): string {
  if (seconds < 90) return measure(Math.max(1, Math.round(seconds)), 'second', language);
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return measure(minutes, 'minute', language);
  return `${measure(Math.floor(minutes / 60), 'hour', language)} ${measure(minutes % 60, 'minute', language)}`;
}

/** "4.2", "38": tokens a second and the like */
export const formatRate = (value: number, language = 'en'): string =>
  value.toLocaleString(language, exactly(digits(value)));
