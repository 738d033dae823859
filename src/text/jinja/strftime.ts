/**
 * Python's strftime in English, with glibc's flags: `-` no padding, `_` spaces, `0` zeros, `^` upper case, `#` the
 * other case.
 */
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = 'January February March April May June July August September October November December'.split(' ');

const DAY = 86_400_000;

/** @param now whose local time is written; it has no time zone, as Python's datetime.now() */
export function strftime(format: string, now: Date): string {
  const [year, month, date, weekday] = [now.getFullYear(), now.getMonth(), now.getDate(), now.getDay()];
  const [hours, minutes, seconds] = [now.getHours(), now.getMinutes(), now.getSeconds()];
  // days are counted in UTC, where each has 24 hours
  const dayOfYear = Math.round((Date.UTC(year, month, date) - Date.UTC(year, 0, 1)) / DAY);
  const monday = (weekday + 6) % 7;
  const thursday = new Date(Date.UTC(year, month, date - monday + 3));
  const isoYear = thursday.getUTCFullYear();
  const isoWeek = Math.floor((thursday.getTime() - Date.UTC(isoYear, 0, 1)) / DAY / 7) + 1;
  const hour12 = hours % 12 || 12;
  const half = hours < 12 ? 'AM' : 'PM';
  const inner = (other: string) => strftime(other, now);
  // a number with its width, with '_' where spaces fill it; or text
  const codes: Record<string, string | [number, number, fill?: string] | (() => string)> = {
    a: DAYS[weekday].slice(0, 3),
    A: DAYS[weekday],
    b: MONTHS[month].slice(0, 3),
    h: MONTHS[month].slice(0, 3),
    B: MONTHS[month],
    c: () => inner('%a %b %e %H:%M:%S %Y'),
    C: [Math.floor(year / 100), 2],
    d: [date, 2],
    D: () => inner('%m/%d/%y'),
    e: [date, 2, ' '],
    f: String(now.getMilliseconds() * 1000).padStart(6, '0'),
    F: () => inner('%Y-%m-%d'),
    g: [isoYear % 100, 2],
    G: [isoYear, 4],
    H: [hours, 2],
    I: [hour12, 2],
    j: [dayOfYear + 1, 3],
    k: [hours, 2, ' '],
    l: [hour12, 2, ' '],
    m: [month + 1, 2],
    M: [minutes, 2],
    n: '\n',
    p: half,
    P: half.toLowerCase(),
    r: () => inner('%I:%M:%S %p'),
    R: () => inner('%H:%M'),
    s: String(Math.floor(now.getTime() / 1000)),
    S: [seconds, 2],
    t: '\t',
    T: () => inner('%H:%M:%S'),
    u: [monday + 1, 1],
    U: [Math.floor((dayOfYear + 7 - weekday) / 7), 2],
    V: [isoWeek, 2],
    w: [weekday, 1],
    W: [Math.floor((dayOfYear + 7 - monday) / 7), 2],
    x: () => inner('%m/%d/%y'),
    X: () => inner('%H:%M:%S'),
    y: [year % 100, 2],
    Y: [year, 1],
    z: '',
    Z: '',
    '%': '%',
  };
  return format.replace(/%([-_0^#]*)([A-Za-z%])/g, (whole, flags: string, letter: string) => {
    if (!Object.hasOwn(codes, letter)) return whole;
    const code = codes[letter];
    let shown: string;
    if (Array.isArray(code)) {
      const [value, width, fill = '0'] = code;
      const flag = /[-_0](?=[\^#]*$)/.exec(flags)?.[0];
      shown = String(value).padStart(flag === '-' ? 0 : width, flag === '_' ? ' ' : flag === '0' ? '0' : fill);
    } else shown = typeof code === 'string' ? code : code();
    if (flags.includes('^')) return shown.toUpperCase();
    return flags.includes('#') ? (letter === 'p' ? shown.toLowerCase() : shown.toUpperCase()) : shown;
  });
}
