import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import type { Composer, Sent } from './composer';
import './composer';
import type { ComposerTools } from './composer-tools';
import type { Draft } from './draft';
import { savePrompt } from './saved-prompts';

const TOOLS: ComposerTools = {
  files: () => import('../attachments/attachments'),
  prompts: () => import('./prompts-panel'),
};

beforeEach(() => localStorage.clear());

/** A composer in the page, and what it said. */
async function shown(fields: Partial<Composer> = {}) {
  const composer = Object.assign(document.createElement('nibble-composer'), fields) as Composer;
  const sent: string[] = [];
  const stop = vi.fn();
  const drafts: Draft[] = [];
  composer.addEventListener('send', (event) => sent.push((event as CustomEvent<Sent>).detail.text));
  composer.addEventListener('stop', stop);
  document.body.addEventListener('draft', (event) => drafts.push((event as CustomEvent<Draft>).detail));
  document.body.append(composer);
  onTestFinished(() => composer.remove());
  await composer.updateComplete;
  composer.focus();
  const field = composer.renderRoot.querySelector('textarea')!;
  return { composer, field, sent, stop, drafts };
}

/** As a browser tells of a key, without anything else happening. */
const press = (field: HTMLElement, init: KeyboardEventInit) =>
  field.dispatchEvent(new KeyboardEvent('keydown', { bubbles: true, cancelable: true, composed: true, ...init }));

describe('a composer', () => {
  test('sends with Enter, breaks the line with Shift+Enter, and sends nothing that is empty', async () => {
    const { field, sent } = await shown();
    await userEvent.keyboard('{Enter} {Enter}one{Shift>}{Enter}{/Shift}two {Enter}{Enter}');
    expect([sent, field.value]).toEqual([['one\ntwo'], '']);
  });

  test("leaves an input method's Enter to it", async () => {
    const { field, sent } = await shown({ tools: TOOLS });
    savePrompt('nihao', '你好');
    await userEvent.keyboard('/nihao');
    await expect.element(page.getByRole('option', { name: '/nihao' })).toBeVisible();
    press(field, { key: 'Enter', isComposing: true });
    // Safari's
    press(field, { key: 'Enter', keyCode: 229 });
    expect([sent, field.value]).toEqual([[], '/nihao']);
    await userEvent.keyboard('{Enter}');
    await vi.waitFor(() => expect(field.value).toBe('你好'));
    await userEvent.keyboard('{Enter}');
    expect(sent).toEqual(['你好']);
  });

  test('queues while an answer is given, and stops it', async () => {
    const { sent, stop } = await shown({ busy: true });
    await expect.element(page.getByRole('button', { name: 'Stop' })).toBeVisible();
    await userEvent.keyboard('next');
    await expect.element(page.getByRole('button', { name: 'Queue' })).toBeVisible();
    await expect.element(page.getByRole('status')).toHaveTextContent(/Enter queues/);
    await userEvent.keyboard('{Enter}');
    expect(sent).toEqual(['next']);
    await userEvent.keyboard('{Escape}');
    expect(stop).toHaveBeenCalledTimes(1);
  });

  test('recalls earlier questions into an empty field', async () => {
    const { field } = await shown({ history: ['one', 'two'] });
    const seen: string[] = [];
    for (const key of ['ArrowUp', 'ArrowUp', 'ArrowUp', 'ArrowDown', 'ArrowDown']) {
      await userEvent.keyboard(`{${key}}`);
      seen.push(field.value);
    }
    expect(seen).toEqual(['two', 'one', 'one', 'two', '']);
    await userEvent.keyboard('typed{ArrowUp}');
    expect(field.value).toBe('typed');
  });

  test('tells what is written, and shows what was', async () => {
    const { composer, field, drafts } = await shown({ draft: { text: 'before', attached: [] } });
    await vi.waitFor(() => expect(field.value).toBe('before'));
    await userEvent.keyboard(', more');
    await vi.waitFor(() => expect(drafts.map(({ text }) => text)).toEqual(['before, more']));
    // what is kept comes back while the person goes on
    await userEvent.keyboard('!');
    composer.draft = { text: 'before, more', attached: [] };
    await composer.updateComplete;
    expect(field.value).toBe('before, more!');
    await userEvent.keyboard('{Enter}');
    expect(drafts.at(-1)?.text).toBe('');
    // another conversation's
    composer.draft = { text: 'elsewhere', attached: [] };
    await vi.waitFor(() => expect(field.value).toBe('elsewhere'));
    composer.draft = null;
    await vi.waitFor(() => expect(field.value).toBe(''));
  });

  test('what is written stands when it begins to be kept, and what is shared comes below it', async () => {
    const { composer, field, drafts } = await shown();
    await userEvent.keyboard('Look:');
    await vi.waitFor(() => expect(drafts.length).toBe(1));
    await userEvent.keyboard(' here');
    composer.draft = { text: '', attached: [] };
    await vi.waitFor(() => expect(drafts.at(-1)?.text).toBe('Look: here'));
    expect(field.value).toBe('Look: here');
    composer.draft = { text: 'kept', attached: [] };
    await composer.attach([], 'shared');
    expect(field.value).toBe('kept\nshared');
  });
});

describe('saved prompts', () => {
  test('are saved, used, changed and deleted by keyboard', async () => {
    const { field, sent, composer } = await shown({ tools: TOOLS });
    await userEvent.keyboard('Explain this to a child: ');
    await page.getByRole('button', { name: 'Saved prompts' }).click();
    const dialog = page.getByRole('dialog', { name: 'Saved prompts' });
    await expect.element(dialog.getByLabelText('Prompt', { exact: true })).toHaveValue('Explain this to a child:');
    await dialog.getByRole('button', { name: 'Save prompt' }).click();
    await expect.element(dialog.getByRole('alert')).toHaveTextContent('needs a name');
    await dialog.getByLabelText('Name', { exact: true }).fill('for a child');
    await userEvent.keyboard('{Enter}');
    await dialog.getByRole('button', { name: 'Edit /for-a-child' }).click();
    await dialog.getByLabelText('Name', { exact: true }).fill('child');
    await userEvent.keyboard('{Enter}');
    await expect.element(dialog.getByRole('listitem')).toHaveTextContent('/child');
    await dialog.getByRole('button', { name: 'Delete /child' }).click();
    await dialog.getByRole('button', { name: 'Undo' }).click();
    await userEvent.keyboard('{Escape}');
    await vi.waitFor(() => expect(composer.shadowRoot?.activeElement).toBe(field));

    await userEvent.clear(field);
    savePrompt('chapter', 'Sum up the chapter.');
    await userEvent.keyboard('/ch');
    await expect.element(page.getByRole('option', { selected: true })).toHaveTextContent('/chapter');
    expect(field.getAttribute('aria-activedescendant')).toBe('prompt-0');
    await userEvent.keyboard('{ArrowDown}{Tab}why?{Enter}');
    expect(sent).toEqual(['Explain this to a child:why?']);
    // what is no prompt is a question
    await userEvent.keyboard('/etc is what?{Enter}');
    expect(sent.at(-1)).toBe('/etc is what?');
    await userEvent.keyboard('/{Escape}{Enter}');
    expect(sent.at(-1)).toBe('/');
  });
});
