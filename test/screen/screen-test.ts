import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { launchChromium } from '../support/browser.ts';
import { ScreenPage } from './screen-page.ts';

/** Set-up of a group of tests: one Chromium for all, and a page of its own for each test. */
export type ScreenTest = {
  readonly chromium: Browser;
  /** A new page for each test. Errors of its scripts fail the test. */
  readonly screen: ScreenPage;
  /** Disposes of its resources after each test. */
  readonly stack: AsyncDisposableStack;
};

/** Registers the hooks of a group of tests. The properties are those of the running test. */
export function useScreen(): ScreenTest {
  let chromium: Browser;
  let screen: ScreenPage;
  let stack: AsyncDisposableStack;
  beforeAll(async () => {
    chromium = await launchChromium();
  });
  afterAll(() => chromium.close());
  beforeEach(async () => {
    stack = new AsyncDisposableStack();
    screen = stack.use(await ScreenPage.open(chromium));
  });
  afterEach(async () => {
    await stack.disposeAsync();
    if (screen.errors.length > 0) throw new Error(`Errors on the page: ${screen.errors.join('; ')}`);
  });
  return {
    get chromium() {
      return chromium;
    },
    get screen() {
      return screen;
    },
    get stack() {
      return stack;
    },
  };
}
