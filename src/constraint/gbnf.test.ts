import { describe, expect, it } from 'vitest';
import { refusal } from '../options/test/refusal';
import { gbnfGrammar } from './gbnf';
import { reads, statesOf } from './test/walk';

const open = (source: string) => statesOf(gbnfGrammar(source), 'grammar');

const SUM = `# sums
root  ::= (term "=" ws num "\\n")+
term  ::= factor ([-+] ws factor)* # left to right
factor ::= num | "(" ws term ")" ws
num   ::= [0-9]+ ws
ws    ::= [ \\t]*
`;
const LIST = `root ::= item+
item ::=
  "- " [^\\r\\n\\x0b\\x0c\\x85\\u2028\\u2029]+ "\\n"
`;
const COUNTS =
  'root ::= "a"{2} "b"{1,} "c"{0,2} . d?\nd ::= "\\x44" | "\\u00e4" | "\\U0001F600" |\n "[" [\\]\\[^-] "]"';

describe('a GBNF grammar', () => {
  it.each<[string, string[], string[]]>([
    [SUM, ['1+2=3\n', '(1 + 2)-3= 0\n4=4\n'], ['1+2', '=\n', '1+2=3']],
    [LIST, ['- a\n', '- é b\n- c\n'], ['a\n', '- \n', '- a\u2028\n']],
    [COUNTS, ['aabx', 'aabbcc.D', 'aab1ä', 'aab1😀', 'aab1[^]', 'aab1[-]'], ['abx', 'aabccc1D2', 'aab']],
    ['root ::= "a" root | "b"', ['b', 'aaab'], ['a', '']],
    ['root ::= "x" root? "y"', ['xy', 'xxxyyy'], ['xxy']],
    ['root ::= <think> "a"', ['<think>a'], ['a']],
  ])('%s', (source, takes, refuses) => {
    const states = open(source);
    for (const text of takes) expect([text, reads(states, text)]).toEqual([text, true]);
    for (const text of refuses) expect([text, reads(states, text) === true]).toEqual([text, false]);
  });

  it.each<[string, number, number, RegExp]>([
    ['root ::= "a', 1, 10, /literal without an end/],
    ['root ::= [a-', 1, 10, /class without an end|no end/],
    ['root ::= "a"\nb := "c"', 2, 3, /without ::=/],
    ['root ::= x', 1, 10, /"x", which no rule has/],
    ['a ::= "b"', 1, 1, /no rule "root"/],
    ['root ::= "a"\nroot ::= "b"', 2, 1, /a second time/],
    ['root ::= ("a"', 1, 10, /an open bracket/],
    ['root ::= "\\q"', 1, 11, /unknown escape/],
    ['root ::= <[7]>', 1, 10, /a token by its number/],
    ['root ::= "a" )', 1, 14, /something that no rule can have/],
    ['root ::= "a"{3,1}', 1, 18, /less than its least/],
  ])('%s is refused by line and column', (source, line, column, words) => {
    const error = refusal(() => open(source));
    expect(error.code).toBe('invalid-option');
    expect(error.message).toMatch(words);
    if (!/no end/.test(error.message)) expect([error.details.line, error.details.column]).toEqual([line, column]);
  });

  it.each(['root ::= root "a" | "b"', 'root ::= x? y\nx ::= "a"\ny ::= x? root "c" | "d"', 'root ::= ((root?)? "a")'])(
    'that begins with itself is refused: %s',
    (source) => expect(refusal(() => open(source)).message).toMatch(/begins with itself/),
  );

  it.each(['root ::= "a" root', 'root ::= ("a" x)+\nx ::= "b" x'])('without an end is refused: %s', (source) =>
    expect(refusal(() => open(source)).message).toMatch(/no answer that ever ends/),
  );

  it('that can be read in exponentially many ways takes polynomial work', () => {
    const states = open('root ::= "a" root root root | "a" root root | "a"');
    reads(states, 'a'.repeat(40));
    const half = states.steps;
    reads(states, 'a'.repeat(80));
    expect(states.steps).toBeLessThan(10 * half);
  });
});
