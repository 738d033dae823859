/** Chromium, through Playwright, as the e2e tests have it: what the other two are compared with. */
import { chromium as playwright } from '@playwright/test';
import { installChromium, QUIET_FLAGS } from '../../testing/chromium.ts';
import { asExpression, type Browser, type Engine, fromPage } from './browser.ts';

export const chromium: Engine = {
  name: 'Chromium',
  lasts: true,
  missing: () => null,
  async open(profile): Promise<Browser> {
    const executablePath = await installChromium();
    const context = await playwright.launchPersistentContext(profile, { executablePath, args: QUIET_FLAGS });
    return {
      name: `Chromium ${context.browser()?.version() ?? ''}`.trim(),
      async newTab() {
        const page = await context.newPage();
        return {
          goto: async (address) => void (await page.goto(address)),
          reload: async () => void (await page.reload()),
          run: async (body) => fromPage(await page.evaluate(asExpression(body))),
        };
      },
      close: () => context.close(),
    };
  },
};
