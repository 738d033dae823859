/**
 * Tells when an answer repeats itself: the same words again and again, as small models do that take the likeliest token
 * each time. What repeats for a reason is left alone: code, tables, lines of a log, a refrain. Such texts repeat short
 * lines, or differ in a number; a loop goes on with the very same sentences.
 */

/** The longest round that is looked for, characters. */
const LONGEST = 1000;
/** The shortest one; what is shorter, as "no, no, no", is a loop when there are five times so many characters of it. */
const SHORTEST = 16;
/** Three rounds that are at least so long are a loop, and four shorter ones. */
const LONG = 60;
/** Where lines may repeat: in code, tables and logs. */
const FORMATTED_ROUNDS = 12;

/** A line of a log, a table or the like: what it begins with. */
const RECORD =
  /^\s*(\||[-+=]{3,}|\[|\d{4}-\d\d-\d\d|\d\d:\d\d|\d+\.\d+\.\d+\.\d+|(GET|POST|PUT|HEAD)\s|\w+\[\d+\]|[a-z][\w.-]*: |\$ |> |\S+=\S+|\S+,\S+,\S+$)|\t/;
const LEVEL = /^\s*(trace|debug|info|notice|warn|warning|error|fatal|pass|fail|ok|npm|pip)\b/i;
/** Code without a fence around it. */
const CODE = /[;{}]\s*$|^\s*<\/?\w|^\s*(#|\/\/|@)|^ {4}\S|^\s*\w[\w.]*\(.*\)\s*$/;

/** How much of what stands at the end of a text is a copy of what stands `period` before it, for each period. */
function copies(reversed: string): Int32Array {
  // the Z function: z[i] characters from i on are those that the text begins with (Gusfield 1997, chapter 1)
  const z = new Int32Array(reversed.length);
  let [left, right] = [0, 0];
  for (let i = 1; i < reversed.length; i++) {
    if (i < right) z[i] = Math.min(right - i, z[i - left]);
    while (i + z[i] < reversed.length && reversed[z[i]] === reversed[i + z[i]]) z[i]++;
    if (i + z[i] > right) [left, right] = [i, i + z[i]];
  }
  return z;
}

/** Whether what repeats is lines that do in honest texts. Its first and last line may be parts of one. */
function isFormatted(repeated: string): boolean {
  const all = repeated.split('\n');
  const lines = (all.length > 2 ? all.slice(1, -1) : all).filter((line) => line.trim() !== '');
  const formatted = lines.filter((line) => [RECORD, LEVEL, CODE].some((known) => known.test(line))).length;
  return formatted > lines.length / 2;
}

/** Whether a fence is open at the end. */
const inCode = (text: string) => (text.match(/^ {0,3}(```|~~~)/gm)?.length ?? 0) % 2 === 1;

/** The end of a text without the numbers of its lists: those go on while what they count stays the same. */
const withoutNumbers = (tail: string) => tail.replace(/^(\s*)\d+(?=[.)])/gm, '$1' + '0');

/**
 * @param text an answer, as far as it has come
 * @returns characters of the round in which it repeats itself; null: it does not
 */
export function loopAt(text: string): number | null {
  const tail = withoutNumbers(text.slice(-4 * LONGEST));
  // what repeats ends as it did a round before; one unit less, as `reversed` may have half of a pair more
  if (tail.lastIndexOf(tail.slice(1 - SHORTEST), tail.length - SHORTEST) < 0) return null;
  const reversed = [...tail].reverse().join('');
  const z = copies(reversed);
  for (let period = 1; period <= Math.min(LONGEST, tail.length / 3); period++) {
    if (z[period] < 2 * period) continue;
    const round = tail.slice(-period);
    // a rule, dots, a run of one letter
    if (!/\p{L}/u.test(round)) return null;
    const length = z[period] + period;
    const rounds = length / period;
    if (period < SHORTEST && length < 5 * SHORTEST) return null;
    const formatted = inCode(text) || isFormatted(tail.slice(-length));
    const enough = formatted ? FORMATTED_ROUNDS : period >= LONG ? 3 : 4;
    return rounds >= enough ? period : null;
  }
  return null;
}
