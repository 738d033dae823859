import { describe, expect, test } from 'vitest';
import { chooseByName, chooseStored } from './model-choice';

describe('what a person types', () => {
  test.each([
    [' org/name ', { model: 'org/name', name: 'name' }],
    ['org/name/a-Q4_K.gguf', { model: 'org/name/a-Q4_K.gguf', name: 'a-Q4_K.gguf' }],
    ['https://huggingface.co/org/name', { model: 'org/name', name: 'name' }],
    ['https://huggingface.co/org/name/', { model: 'org/name', name: 'name' }],
    ['https://hf.co/org/name/tree/v1.2', { model: 'org/name', name: 'name', revision: 'v1.2' }],
    [
      'https://huggingface.co/org/name/resolve/main/sub/a.gguf?download=true',
      { model: 'org/name/sub/a.gguf', name: 'a.gguf', revision: 'main' },
    ],
    ['https://a.example/models/tiny/', { model: 'https://a.example/models/tiny/', name: 'tiny' }],
    ['./models/my%20model/', { model: './models/my%20model/', name: 'my model' }],
    ['100%', { model: '100%', name: '100%' }],
  ])('%s', (text, choice) => expect(chooseByName(text)).toEqual(choice));

  test('revision and token count when they are given, and another Hub for its ids only', () => {
    const access = { revision: ' v2 ', token: 'hf_x' };
    const hub = 'https://mirror.example';
    expect(chooseByName('org/name', access, hub)).toEqual({
      model: 'org/name',
      name: 'name',
      revision: 'v2',
      token: 'hf_x',
      hub,
    });
    expect(chooseByName('org/name', { revision: '', token: ' ' })).toEqual({ model: 'org/name', name: 'name' });
    expect(chooseByName('/m/', {}, hub)).toEqual({ model: '/m/', name: 'm' });
  });

  test('what is kept is loaded as it was asked for', () => {
    expect(chooseStored({ key: 'org/name@v2', name: 'org/name' })).toMatchObject({ model: 'org/name', revision: 'v2' });
    const base = 'https://a.example/m/';
    expect(chooseStored({ key: `${base}@`, name: base })).toEqual({ model: base, name: 'm' });
  });
});
