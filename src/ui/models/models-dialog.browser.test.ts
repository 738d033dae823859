import { afterEach, expect, test, vi } from 'vitest';
import { type Locator, page, userEvent } from 'vitest/browser';
import { NibbleError } from '../../errors';
import type { PlanOffer } from '../../protocol';
import type { ModelsDialog } from './models-dialog';
import './models-dialog';
import { ChatSession } from '../conversation/session';
import { FakeEngine, fakeLoad, INFO } from '../test/fake-engine';
import { COST, FakeLibrary, KEPT, PLAN } from '../test/fake-library';

afterEach(() => document.body.replaceChildren());

const dialog = page.getByRole('dialog', { name: 'Models' });
const address = dialog.getByLabelText('Hugging Face id');

/** Through every shadow root. */
function focused(within: Document | ShadowRoot = document): Element | null {
  const { activeElement } = within;
  return activeElement?.shadowRoot ? focused(activeElement.shadowRoot) : activeElement;
}
const expectFocus = (locator: Locator) => vi.waitFor(() => expect(focused()).toBe(locator.element()));

async function open(library = new FakeLibrary(), engine = new FakeEngine()) {
  const session = new ChatSession(fakeLoad(engine), {
    choice: { model: 'm', name: 'm' },
    engine: { backend: 'cpu' },
    sampling: {},
  });
  await session.load();
  const element = Object.assign(document.createElement('nibble-models') as ModelsDialog, { session, library });
  // as the page does
  element.addEventListener('budget', (event) => {
    session.memoryBudget = (event as CustomEvent<number | null>).detail;
  });
  document.body.append(element);
  await element.open();
  return { element, session, library };
}

test('what is typed is looked up with its revision and token, shown, and loaded', async () => {
  const { session, library } = await open();
  await address.fill('org/name');
  await dialog.getByText('Revision and access token').click();
  await dialog.getByLabelText('Revision').fill('v1');
  await dialog.getByLabelText('Access token').fill('hf_secret');
  await dialog.getByRole('button', { name: 'Look up' }).click();
  await expect.element(dialog.getByText('98 MB, once')).toBeVisible();
  await expect.element(dialog.getByText('100 MiB for a chat of')).toBeVisible();
  await expect
    .element(dialog.getByText('9 MiB for 384 tokens; 180 MiB at the full context of 8,192 tokens'))
    .toBeVisible();
  await expect.element(dialog.getByText('probably allows 1 GiB')).toBeVisible();
  await expect.element(dialog.getByText('llama, 135 M parameters')).toBeVisible();
  expect(library.inspected).toEqual([['org/name', { backend: 'cpu', revision: 'v1', token: 'hf_secret' }]]);
  await dialog.getByRole('button', { name: 'Load (98 MB)' }).click();
  await vi.waitFor(() =>
    expect(session).toMatchObject({ phase: 'ready', choice: { name: 'name', token: 'hf_secret' } }),
  );
  expect(dialog.query()).toBeNull();
  expect(library.open).toBe(0);
});

test('the loaded model is taken out of memory and put back, and the focus stays', async () => {
  const { session } = await open();
  await expect.element(dialog.getByText('CPU · 85.8 MiB')).toBeVisible();
  await dialog.getByRole('button', { name: 'Unload m' }).click();
  await expect.element(dialog.getByText('The model is out of memory.')).toBeVisible();
  expect([session.phase, session.info, session.unloaded]).toEqual(['idle', null, true]);
  await expectFocus(dialog.getByRole('button', { name: 'Load m', exact: true }));
  await userEvent.keyboard('{Enter}');
  await expect.element(dialog.getByRole('button', { name: 'Unload m' })).toBeVisible();
  expect(session.phase).toBe('ready');
});

test('a model is kept for later while another one answers: with its progress, stopped, failed and done', async () => {
  const { element, session, library } = await open();
  const keep = async () => {
    await address.fill('org/name');
    await dialog.getByRole('button', { name: 'Look up' }).click();
    await dialog.getByRole('button', { name: 'Use offline' }).click();
  };
  const row = dialog.getByRole('region', { name: 'name', exact: true });
  const cancel = row.getByRole('button', { name: 'Cancel the download of name' });
  await keep();
  await expectFocus(cancel);
  const [first] = library.keeping;
  expect(first).toMatchObject({ model: 'org/name', options: { backend: 'cpu', storage: 'indexeddb', persist: true } });
  const said = { phase: 'download', networkBytes: 0, secondsLeft: 4, bytesPerSecond: 1e6 } as const;
  first.options.onProgress?.({ ...said, loadedBytes: 12e6, totalBytes: 98e6 });
  await expect.element(row.getByText('12 of 98 MB')).toBeVisible();
  // it goes on while the dialog is closed
  await userEvent.keyboard('{Escape}');
  await element.open();
  await expect.element(row.getByText('12 of 98 MB')).toBeVisible();
  await cancel.click();
  expect([first.options.signal?.aborted, row.query()]).toEqual([true, null]);

  library.failure = new NibbleError('quota-exceeded', 'There is no room.');
  await keep();
  library.keeping[1].arrive();
  await expect.element(row.getByText('There is no room.')).toBeVisible();
  library.failure = null;
  await row.getByRole('button', { name: 'Try again' }).click();
  library.keeping[2].arrive();
  await expect.element(row.getByText('name is on this device now, and works offline.')).toBeVisible();
  await expect.element(dialog.getByRole('button', { name: 'Load name', exact: true })).toBeVisible();
  expect([session.phase, session.choice.name]).toEqual(['ready', 'm']);
});

test('the memory limit counts when a model is loaded under it, and not before', async () => {
  const { element, session } = await open();
  const slider = dialog.getByLabelText('Memory limit');
  const look = async () => {
    await address.fill('org/name');
    await dialog.getByRole('button', { name: 'Look up' }).click();
    await expect.element(slider).toHaveAttribute('aria-valuetext', 'no limit');
    await slider.fill('12');
    await expect.element(slider).toHaveAttribute('aria-valuetext', '512 MiB');
    expect(session.memoryBudget).toBeNull();
  };
  await look();
  await userEvent.keyboard('{Escape}');
  await element.open();
  await look();
  await dialog.getByRole('button', { name: /^Load/ }).click();
  await vi.waitFor(() => expect([session.memoryBudget, session.choice.name]).toEqual([512 * 2 ** 20, 'name']));
});

test('what does not fit the limit comes with what would: one click, and it is loaded so', async () => {
  const library = new FakeLibrary();
  const offers: PlanOffer[] = [
    { kind: 'new-tokens', change: { maxNewTokens: 8 }, total: 90 * 2 ** 20, text: '' },
    { kind: 'smaller-model', change: {}, total: 0, text: 'Choose a smaller model.' },
  ];
  library.plan = ({ memoryBudget, maxContext }) =>
    memoryBudget && !maxContext ? { ...PLAN, fits: false, offers } : { ...PLAN, peak: 90 * 2 ** 20 };
  const { session } = await open(library);
  await dialog.getByRole('button', { name: 'Choose standard' }).click();
  const slider = dialog.getByLabelText('Memory limit');
  await expect.element(slider).toHaveAttribute('aria-valuetext', 'no limit');
  await slider.fill('0');
  await expect.element(slider).toHaveAttribute('aria-valuetext', '64 MiB');
  await expect.element(dialog.getByText('It does not fit your limit of 64 MiB.')).toBeVisible();
  await expect.element(dialog.getByText('Choose a smaller model.')).toBeVisible();
  await dialog.getByRole('button', { name: 'Chats of 150 words (200 tokens) at most: 90 MiB' }).click();
  await expect.element(dialog.getByText('It fits.')).toBeVisible();
  await dialog.getByRole('button', { name: 'Load (98 MB)' }).click();
  await vi.waitFor(() => expect(session.phase).toBe('ready'));
  expect(session.choice.options).toEqual({ maxContext: 200 });
  // the page that holds the dialog keeps the limit
  expect(session.memoryBudget).toBe(2 ** 26);
});

test('what is larger than the device probably allows is offered smaller, and not refused', async () => {
  const library = new FakeLibrary();
  const offers: PlanOffer[] = [{ kind: 'kv', change: { kv: 'f16' }, total: 2 ** 29, text: '' }];
  library.plan = ({ memoryBudget }) => ({
    ...PLAN,
    peak: 2 ** 31,
    fits: !memoryBudget,
    offers: memoryBudget ? offers : [],
  });
  await open(library);
  await dialog.getByRole('button', { name: 'Choose standard' }).click();
  await expect.element(dialog.getByText('It probably does not fit this device.')).toBeVisible();
  await expect.element(dialog.getByRole('button', { name: '16-bit cache: 512 MiB' })).toBeVisible();
  await expect.element(dialog.getByRole('button', { name: 'Load (98 MB)' })).toBeVisible();
});

test('an error leaves what was typed, for another try; closing the dialog forgets it', async () => {
  const library = new FakeLibrary();
  library.answer = () => Promise.reject(new NibbleError('network', 'The server is away.'));
  const { element } = await open(library);
  await address.fill('org/name');
  await userEvent.keyboard('{Enter}');
  await expect.element(dialog.getByRole('alert')).toHaveTextContent('The server is away.');
  await expect.element(address).toHaveValue('org/name');
  await expectFocus(address);
  await userEvent.keyboard('{Escape}');
  expect(dialog.query()).toBeNull();
  await element.open();
  await expect.element(address).toHaveValue('');
  expect(dialog.getByRole('alert').query()).toBeNull();
});

test('a late answer about a model that is no longer asked for is nobody’s', async () => {
  const library = new FakeLibrary();
  let answer: (cost: typeof COST) => void = () => {};
  library.answer = (model) => (model === 'org/slow' ? new Promise((resolve) => (answer = resolve)) : COST);
  await open(library);
  await address.fill('org/slow');
  await userEvent.keyboard('{Enter}');
  await dialog.getByRole('button', { name: 'Back' }).click();
  await dialog.getByRole('button', { name: 'Choose standard' }).click();
  answer({ ...COST, bytes: 5e9 });
  await expectFocus(dialog.getByRole('button', { name: 'Load (98 MB)' }));
  await expect.element(dialog.getByRole('heading', { name: 'standard' })).toBeVisible();
});

test.each([
  [{ here: true }, 'nothing: it is on this device', 'Load'],
  [{ storedBytes: 40e6 }, '98 MB, of which 40 MB are here', 'Load (98 MB)'],
])('%j is said as it is', async (different, sentence, button) => {
  const library = new FakeLibrary();
  library.answer = () => ({ ...COST, ...different });
  await open(library);
  await dialog.getByRole('button', { name: 'Choose standard' }).click();
  await expect.element(dialog.getByText(sentence)).toBeVisible();
  await expect.element(dialog.getByRole('button', { name: button, exact: true })).toBeVisible();
});

test('what is kept is loaded under the revision that it was asked for', async () => {
  const { library } = await open();
  await expect.element(dialog.getByRole('listitem')).toHaveTextContent(/kept.*org\/kept.*86 MB · used today/);
  await dialog.getByRole('button', { name: 'Load kept' }).click();
  expect(library.inspected).toEqual([['org/kept', { backend: 'cpu', revision: 'v2' }]]);
});

test('what is kept is checked', async () => {
  await open();
  await dialog.getByRole('button', { name: 'Check kept' }).click();
  await expect.element(dialog.getByText('kept: 3 pieces are damaged or missing.')).toBeVisible();
});

test('deleting takes two clicks, and a refusal is shown', async () => {
  const library = new FakeLibrary();
  library.refuse();
  await open(library);
  await dialog.getByRole('button', { name: 'Delete kept' }).click();
  await expectFocus(dialog.getByRole('button', { name: 'Keep kept' }));
  expect(library.kept).toEqual([KEPT]);
  await dialog.getByRole('button', { name: 'Yes, delete kept' }).click();
  await expect.element(dialog.getByRole('alert')).toHaveTextContent('Close it there first.');
  library.failure = null;
  await dialog.getByRole('button', { name: 'Delete kept' }).click();
  await dialog.getByRole('button', { name: 'Yes, delete kept' }).click();
  await expect.element(dialog.getByText('kept is deleted.')).toBeVisible();
  await expect.element(dialog.getByText('None yet.')).toBeVisible();
});

test('the model that is loaded is marked, and cannot be deleted under the conversation', async () => {
  const engine = new FakeEngine();
  engine.info = async () => ({ ...INFO, name: KEPT.name, revision: KEPT.revision });
  await open(new FakeLibrary(), engine);
  await expect.element(dialog.getByRole('listitem')).toHaveTextContent('loaded');
  expect(dialog.getByRole('listitem').getByRole('button').query()).toBeNull();
});

test('an adapter is added, switched off and on, and remembered with its model; one that is refused changes nothing', async () => {
  localStorage.clear();
  const engine = new FakeEngine();
  const used: unknown[] = [];
  const setLora = async (lora: readonly unknown[]) => {
    if (JSON.stringify(lora).includes('wrong')) throw new NibbleError('invalid-option', 'It is of another base.');
    used.push(lora);
    return INFO;
  };
  Object.assign(engine, { setLora });
  const { element } = await open(new FakeLibrary(), engine);
  const field = dialog.getByLabelText('Adapter, by its id');
  await field.fill('org/poet');
  await userEvent.keyboard('{Enter}');
  const poet = dialog.getByRole('switch', { name: 'poet' });
  await expect.element(poet).toBeChecked();
  await poet.click();
  await expect.element(poet).not.toBeChecked();
  expect(used).toEqual([[{ adapter: 'org/poet' }], []]);
  await field.fill('org/wrong');
  await userEvent.keyboard('{Enter}');
  await expect.element(dialog.getByRole('alert')).toHaveTextContent('another base');
  expect(dialog.getByRole('switch', { name: 'wrong' }).query()).toBeNull();
  await userEvent.keyboard('{Escape}');
  await element.open();
  await expect.element(dialog.getByRole('switch', { name: 'poet' })).not.toBeChecked();
  await dialog.getByRole('button', { name: 'Remove poet' }).click();
  await expect.element(field).toBeVisible();
  expect(dialog.getByRole('switch').query()).toBeNull();
  expect(Object.keys(localStorage).filter((key) => key.startsWith('nibble-adapters'))).toEqual([]);
  localStorage.clear();
});
