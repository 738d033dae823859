/** How large a model is, and when it was used, as people read it in a language (BCP 47), by Intl. */

/** "134.5 M", "7.2 B": parameters and the like */
export function formatCount(count: number, language = 'en'): string {
  if (!/^en\b/.test(language))
    return count.toLocaleString(language, { notation: 'compact', maximumSignificantDigits: 3 });
  const [unit, name] = count >= 1e9 ? [1e9, 'B'] : count >= 1e5 ? [1e6, 'M'] : [1e3, 'K'];
  const value = count / unit;
  return `${value.toFixed(value < 100 ? 1 : 0)} ${name}`;
}

const DAY_MS = 86_400_000;

/** "today", "yesterday", "12 days ago", "3 months ago": by the days between two moments, ms since 1970 */
export function formatAgo(then: number, now = Date.now(), language = 'en'): string {
  const midnight = (ms: number) => new Date(ms).setHours(0, 0, 0, 0);
  const days = Math.round((midnight(then) - midnight(now)) / DAY_MS);
  const words = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  return days > -60 ? words.format(Math.min(0, days), 'day') : words.format(Math.round(days / 30), 'month');
}
