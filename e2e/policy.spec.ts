/** What the page may ask of other origins: the Hub, when the person chooses a model there, or nobody. */
import { readdirSync, readFileSync } from 'node:fs';
import { SELF_ONLY_CSP } from '../scripts/bundling/policy';
import { serveFakeHub } from '../scripts/testing/fake-hub';
import { Chat, expect, type Profile, test } from './product';

const FOLDER = 'reference/fixtures/tiny-llama-128/nf4';
const FILES = new Map(readdirSync(FOLDER).map((name) => [name, new Uint8Array(readFileSync(`${FOLDER}/${name}`))]));

/** A visit in which what stands for the Hub answers to the Hub's own name. Redirects are followed for the page. */
async function visit(profile: Profile, url: string) {
  const hub = await serveFakeHub({ repos: { 'org/tiny': { files: FILES } } });
  const opened = await profile.open();
  const asked: string[] = [];
  await opened.context.route('https://huggingface.co/**', async (route) => {
    const { pathname, search } = new URL(route.request().url());
    asked.push(pathname);
    const { range } = route.request().headers();
    const headers = range ? { range } : undefined;
    const first = await fetch(hub.origin + pathname + search, { headers, redirect: 'manual' });
    const target = first.headers.get('location');
    const last = target ? await fetch(target, { headers }) : first;
    await route.fulfill({
      status: last.status,
      headers: Object.fromEntries([...first.headers, ...last.headers]),
      body: Buffer.from(await last.arrayBuffer()),
    });
  });
  await opened.page.goto(url);
  const look = async () => {
    await opened.page.getByRole('button', { name: 'Models' }).click();
    await opened.page.getByLabel('Hugging Face id').fill('org/tiny');
    await opened.page.keyboard.press('Enter');
  };
  return { ...opened, asked, hub, look, chat: new Chat(opened.page), dialog: opened.page.getByRole('dialog') };
}

test('as it is served, the page loads from the Hub, and asks it nothing before the person does', async ({
  product,
  profile,
}) => {
  const { chat, dialog, asked, requests, complaints, look, hub } = await visit(profile, product.site.origin);
  await expect(chat.load).toBeVisible();
  expect(requests.filter((request) => request.startsWith('http') && !request.startsWith(product.site.origin))).toEqual(
    [],
  );
  await look();
  await dialog.getByRole('button', { name: /^Load/ }).click();
  await chat.loaded();
  expect(await chat.ask('Hello')).not.toBe('');
  expect((await chat.state()).info).toMatchObject({
    name: 'org/tiny',
    variants: { cpu: expect.stringMatching(/^webassembly-simd, \d thread/) },
  });
  expect(asked.length).toBeGreaterThan(0);
  expect(complaints).toEqual([]);
  await hub.close();
});

test.describe('where the server sends no policy', () => {
  test.use({ serverOptions: { csp: undefined } });
  test('the built page has one of its own', async ({ product, profile }) => {
    const { page, chat } = await visit(profile, product.site.origin);
    await expect(chat.load).toBeVisible();
    const forbids = (url: string) =>
      page.evaluate(async (address) => {
        let forbidden = false;
        document.addEventListener('securitypolicyviolation', () => {
          forbidden = true;
        });
        await fetch(address, { mode: 'no-cors' }).catch(() => {});
        // the event may come a task later
        await new Promise((resolve) => setTimeout(resolve));
        return forbidden;
      }, url);
    expect(await forbids('https://huggingface.co/x')).toBe(false);
    expect(await forbids(product.host.origin)).toBe(true);
    const compiles = () =>
      page.evaluate(
        async () =>
          WebAssembly.validate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])) &&
          Boolean(await WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))),
      );
    expect(await compiles()).toBe(true);
  });
});

test.describe('with --self-only', () => {
  test.use({ serverOptions: { csp: SELF_ONLY_CSP } });
  test('the page asks nobody, and says so', async ({ product, profile }) => {
    const { chat, page, asked, look, dialog } = await visit(profile, product.site.origin);
    await look();
    await expect(dialog.getByRole('alert')).toContainText('Content-Security-Policy');
    expect(asked).toEqual([]);
    await page.keyboard.press('Escape');
    await expect(chat.size).toContainText(/8\d MB/);
    await chat.loadModel();
    const { variants } = (await chat.state()).info!;
    expect(variants).toEqual({ cpu: "javascript: WebAssembly is forbidden by the page's policy" });
    expect(await chat.ask('What is the capital of France?')).toContain('Paris');
  });
});
