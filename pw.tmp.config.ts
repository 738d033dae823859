import base from '/work/wt/visible/playwright.config';
export default { ...base, testDir: '/work/wt/visible/e2e', outputDir: '/tmp/c-test-results', expect: { timeout: 12_000 } };
