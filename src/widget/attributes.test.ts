import { afterEach, expect, test, vi } from 'vitest';
import { checkAttributes } from './attributes';

const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
afterEach(() => warn.mockClear());

test.each([
  'model',
  'starters',
  'max-new-tokens',
  'kv-capacity',
  'temperature',
  'id',
  'data-v-7ba5bd90',
  'aria-label',
  'onclick',
  'draggable',
  'popover',
  'writingsuggestions',
  'itemscope',
  'heading',
  '_ngcontent-ng-c2153744871',
  '_nghost-ng-c2153744871',
  'ng-version',
  'ngskiphydration',
  'astro-cid-abc123',
  'x-data',
  'x-on:nibble-ready',
  '@nibble-ready',
  ':model',
  'v-cloak',
  'hx-boost',
  'wire:ignore',
  'q:key',
  'svelte-h',
  'jscontroller',
  '[attr.model]',
  '(click)',
  '#chat',
  '*ngif',
])('%s is passed over without a word', (name) => {
  expect(checkAttributes([name])).toBe('');
  expect(warn).not.toHaveBeenCalled();
});

test.each([
  ['max-new-token', 'max-new-tokens'],
  ['max_new_tokens', 'max-new-tokens'],
  ['maxnewtokens', 'max-new-tokens'],
  ['kv-capcity', 'kv-capacity'],
  ['starter', 'starters'],
])('%s is named, to the person and once in the console', (name, meant) => {
  const sentence = `<nibble-chat> knows no attribute "${name}". Did you mean "${meant}"?`;
  expect([checkAttributes(['model', name]), checkAttributes([name])]).toEqual([sentence, sentence]);
  expect(warn.mock.calls).toEqual([[sentence]]);
});

test('what could be anything is named in the console', () => {
  expect(checkAttributes(['colour', 'model'])).toBe('');
  expect(warn.mock.calls).toEqual([[expect.stringMatching(/no attribute "colour"\. It knows: model, system/)]]);
});
