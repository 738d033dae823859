import { expect, test } from 'vitest';
import { fitting, scoreOf } from './fuzzy';

const NAMES = ['New chat', 'Open models', 'Open settings', 'Stop', 'Configuración', 'محادثة جديدة', '新对话'];

test.each([
  ['nc', 'New chat'],
  ['set', 'Open settings'],
  ['o m', 'Open models'],
  ['st', 'Stop'],
  ['CONFIGURACION', 'Configuración'],
  ['مج', 'محادثة جديدة'],
  ['对话', '新对话'],
])('"%s" finds %s first', (typed, found) => expect(fitting(typed, NAMES, (name) => name)[0]).toBe(found));

test('nothing typed finds all in their order, and what has a letter too many nothing', () => {
  expect(fitting(' ', NAMES, (name) => name)).toEqual(NAMES);
  expect(fitting('stopp', NAMES, (name) => name)).toEqual([]);
  expect([scoreOf('', 'x'), scoreOf('y', 'x')]).toEqual([0, null]);
  expect(scoreOf('mod', 'Open models')!).toBeGreaterThan(scoreOf('mod', 'come on, do it')!);
});
