/** Texts that repeat for a reason: tables, verse, logs and code. The verses are traditional. */
const lines = (count: number, line: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => line(i)).join('\n');
const again = (count: number, text: string) => Array.from({ length: count }, () => text).join('\n');

const tables = [
  `| Day | Rain |\n|---|---|\n${lines(30, (i) => `| ${i + 1} | 0 mm |`)}`,
  `| Name | Yes | No |\n|:--|:-:|:-:|\n${again(10, '| – | x | |')}`,
  `| A | B |\n|---|---|\n${lines(60, (i) => `| row ${i} | same value in every row of the table |`)}`,
  lines(40, (i) => `| 2026-01-${i} | closed | closed | closed |`),
  `| Hour | Mon | Tue |\n|---|---|---|\n${lines(24, (i) => `| ${i}:00 | free | free |`)}`,
  `Team,Won,Lost\n${lines(30, (i) => `Team ${i},0,0`)}`,
  `a,b,c\n${again(10, '0,0,0')}`,
  `| x | y |\n|---|---|\n${lines(40, (i) => `| ${i} | ${i * i} |`)}`,
  `Item          Price\n${lines(20, (i) => `Apple no. ${i}     1.00`)}`,
  `+-----+-----+\n${again(8, '|  0  |  0  |\n+-----+-----+')}`,
  `${again(8, '| free | free | free | free | free | free | free |')}`,
  `| Week | Exercise | Sets |\n|---|---|---|\n${lines(12, (i) => `| ${i + 1} | Push-ups, squats, sit-ups and a run | 3 |`)}`,
];

const verses = [
  lines(10, (i) => {
    const n = 99 - i;
    return `${n} green bottles hanging on the wall,\n${n} green bottles hanging on the wall,\nAnd if one green bottle should accidentally fall,\nThere'll be ${n - 1} green bottles hanging on the wall.\n`;
  }),
  'Row, row, row your boat,\nGently down the stream.\nMerrily, merrily, merrily, merrily,\nLife is but a dream.\n\nRow, row, row your boat,\nGently down the stream.\nMerrily, merrily, merrily, merrily,\nLife is but a dream.',
  'What shall we do with the drunken sailor,\nWhat shall we do with the drunken sailor,\nWhat shall we do with the drunken sailor,\nEarly in the morning?\n\nWay hay and up she rises,\nWay hay and up she rises,\nWay hay and up she rises,\nEarly in the morning.',
  'London Bridge is falling down,\nFalling down, falling down,\nLondon Bridge is falling down,\nMy fair lady.\n\nBuild it up with wood and clay,\nWood and clay, wood and clay,\nBuild it up with wood and clay,\nMy fair lady.',
  'Here we go round the mulberry bush,\nThe mulberry bush,\nThe mulberry bush.\nHere we go round the mulberry bush\nOn a cold and frosty morning.',
  "She'll be coming round the mountain when she comes,\nShe'll be coming round the mountain when she comes,\nShe'll be coming round the mountain,\nShe'll be coming round the mountain,\nShe'll be coming round the mountain when she comes.",
  'Frère Jacques, Frère Jacques,\nDormez-vous? Dormez-vous?\nSonnez les matines! Sonnez les matines!\nDing, dang, dong. Ding, dang, dong.',
  'Holy, holy, holy! Lord God Almighty!\nEarly in the morning our song shall rise to thee.\nHoly, holy, holy! merciful and mighty!',
  'The wheels on the bus go round and round,\nRound and round,\nRound and round.\nThe wheels on the bus go round and round,\nAll through the town.\n\nThe wipers on the bus go swish, swish, swish,\nSwish, swish, swish,\nSwish, swish, swish.\nThe wipers on the bus go swish, swish, swish,\nAll through the town.',
  "Five little ducks went out one day,\nOver the hills and far away.\nMother duck said, 'Quack, quack, quack, quack,'\nBut only four little ducks came back.\n\nFour little ducks went out one day,\nOver the hills and far away.\nMother duck said, 'Quack, quack, quack, quack,'\nBut only three little ducks came back.",
  `${again(3, 'Kumbaya, my Lord, kumbaya.')}\nO Lord, kumbaya.\n\n${again(3, "Someone's singing, Lord, kumbaya.")}\nO Lord, kumbaya.`,
  'No, no, no, no, no! I said no. No means no, and no again.',
  'O give thanks unto the Lord; for he is good: for his mercy endureth for ever.\nO give thanks unto the God of gods: for his mercy endureth for ever.\nO give thanks to the Lord of lords: for his mercy endureth for ever.\nTo him who alone doeth great wonders: for his mercy endureth for ever.',
];

const logs = [
  lines(40, (i) => `2026-05-01T10:00:${String(i).padStart(2, '0')}Z INFO heartbeat ok`),
  again(8, 'WARN connection timed out, retrying in five seconds'),
  again(10, 'npm error code ERESOLVE could not resolve the dependency tree of this package'),
  lines(30, (i) => `[${i}/30] Compiling module, please wait while the module is compiled`),
  lines(20, (i) => `64 bytes from 10.0.0.1: icmp_seq=${i} ttl=64 time=0.1 ms`),
  again(8, 'kernel[0]: usb 1-1: device descriptor read/64, error -71'),
  again(6, 'GET /health HTTP/1.1 200 2 "-" "kube-probe"'),
  again(8, 'PASS src/a.test.ts'),
  lines(25, (i) => `level=info msg="tick" n=${i}`),
  `The log says:\n\n\`\`\`\n${again(10, 'Segmentation fault, the core was dumped by the kernel this time again')}\n\`\`\`\nThat is all.`,
  again(7, 'Error: it failed\n    at run (main.js:1:1)'),
  lines(20, (i) => `May ${i + 1} 12:00:00 host sshd[${i}]: Failed password for root from 10.0.0.1`),
  again(5, '10.0.0.1 - - [01/May/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 612'),
];

const fenced = (language: string, code: string) => `Like this:\n\n\`\`\`${language}\n${code}\n\`\`\`\n\nThat is it.`;
const code = [
  fenced('js', again(8, 'console.log("hello, hello, hello, is there anybody in this house tonight");')),
  fenced('html', `<table>\n${again(10, '  <tr><td></td><td></td><td></td></tr>')}\n</table>`),
  fenced('json', `[\n${again(10, '  { "x": 0, "y": 0, "z": 0, "label": "a point without a name of its own" },')}\n]`),
  fenced(
    'py',
    lines(20, (i) => `assert add(${i}, 0) == ${i}`),
  ),
  fenced('c', `int a[100] = {${Array.from({ length: 100 }, () => '0').join(', ')}};`),
  fenced('css', again(6, '.row {\n  display: flex;\n  gap: 1rem;\n}')),
  fenced('yaml', again(8, '- name: step\n  run: true')),
  fenced('asm', again(11, '    nop')),
  lines(20, (i) => `    total += values[${i}];`),
  again(7, '<li><a href="#">Link</a></li>'),
  again(6, 'print("-" * 40)'),
  fenced(
    'sql',
    lines(15, (i) => `INSERT INTO t VALUES (${i}, 'a', 'b', 'c');`),
  ),
];

/** Fifty of them. */
export const HONEST: readonly string[] = [...tables, ...verses, ...logs, ...code];
