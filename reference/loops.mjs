/**
 * Records texts in which the default model repeats itself: src/ui/conversation/test/loops.json.
 *
 *   npm run build && node reference/loops.mjs
 *
 * Each question is asked once, as the chat page asks it (greedy, no penalty), with room for 200 tokens, on the CPU.
 * Kept is what ends in at least five rounds of the same text: `period` characters from `start`
 * on. What does not is not kept, and nothing is chosen by what the loop detector says of it.
 */
import { writeFileSync } from 'node:fs';
import { load } from '../dist/node/index.js';

const WANTED = 20;
const ROUNDS = 5;

const SUBJECTS = [
  'rivers',
  'the moon',
  'bread',
  'a lost dog',
  'winter',
  'computers',
  'friendship',
  'the sea',
  'music',
  'trains',
  'a garden',
  'sleep',
  'mountains',
  'coffee',
  'birds',
  'a lighthouse',
  'rain',
  'chess',
  'bicycles',
  'the desert',
];
/** Of four kinds of question that were tried, these two end in loops; lists and explanations did not. */
const FORMS = [(it) => `Write a poem of twenty verses about ${it}.`, (it) => `Write a long story about ${it}.`];

/** The smallest period in which the text ends, for ROUNDS of it, and where it begins. */
function loopOf(text) {
  for (let period = 8; period <= text.length / ROUNDS; period++) {
    let same = 0;
    while (same < text.length - period && text[text.length - 1 - same] === text[text.length - 1 - same - period])
      same++;
    const length = same + period;
    // the shortest period of a run of one letter is no loop of words
    if (length >= ROUNDS * period && /\p{L}.*\s/su.test(text.slice(-period)))
      return { period, start: text.length - length };
  }
  return null;
}

const engine = await load('public/models/smollm2-135m-instruct-nf4', { backend: 'cpu' });
const questions = FORMS.flatMap((ask) => SUBJECTS.map(ask));
const loops = [];
for (const question of questions) {
  const talk = engine.conversation();
  const { text } = await talk.ask(question, { maxNewTokens: 200 }).result;
  await talk.dispose();
  const loop = loopOf(text);
  console.log(`${question} ${loop ? `period ${loop.period} from ${loop.start} of ${text.length}` : '-'}`);
  if (loop) loops.push({ question, text, ...loop });
  writeFileSync('src/ui/conversation/test/loops.json', `${JSON.stringify(loops, null, 1)}\n`);
  if (loops.length === WANTED) break;
}
await engine.dispose();
