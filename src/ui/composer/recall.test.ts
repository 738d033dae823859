import { expect, test } from 'vitest';
import { Recall } from './recall';

const history = ['first', 'second', 'third'];

test('goes to older questions and back, and stays at the oldest', () => {
  const recall = new Recall();
  let text = '';
  const press = (step: 1 | -1) => (text = recall.step(text, history, step) ?? text);
  expect([press(1), press(1), press(1), press(1)]).toEqual(['third', 'second', 'first', 'first']);
  expect([press(-1), press(-1), press(-1), press(-1)]).toEqual(['second', 'third', '', '']);
  expect(press(1)).toBe('third');
});

test('leaves alone what is typed, and what was recalled and changed', () => {
  const recall = new Recall();
  expect(recall.step('typed', history, 1)).toBeNull();
  expect(recall.step('', history, 1)).toBe('third');
  expect(recall.step('third, changed', history, 1)).toBeNull();
  expect(recall.step('third, changed', history, -1)).toBeNull();
  // an emptied field begins with the newest again
  expect(recall.step('', history, 1)).toBe('third');
  recall.reset();
  expect(recall.step('', [...history, 'fourth'], 1)).toBe('fourth');
  expect(new Recall().step('', [], 1)).toBeNull();
});
