import { type Browser, chromium, type Page } from 'playwright-core';
import { programPath } from './programs.ts';

/** Starts Chromium, without a sandbox because tests may run as root. */
export function launchChromium(): Promise<Browser> {
  const executablePath = programPath('chromium') ?? 'chromium';
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
}

/** A page of the agent in Chromium. */
export class BrowserPage implements AsyncDisposable {
  readonly page: Page;
  /** Errors of its scripts. */
  readonly errors: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.on('pageerror', ({ message }) => this.errors.push(message));
  }

  static async open(browser: Browser): Promise<BrowserPage> {
    return new BrowserPage(await browser.newPage());
  }

  /** Color of the signal lamp: 'red', 'amber', 'green', or '' for none. */
  lamp(): Promise<string | null> {
    return this.page.locator('#lamp').getAttribute('data-on');
  }

  /** State and text of the first watch. */
  async watch(): Promise<string> {
    const watch = this.page.locator('.watch').first();
    return `${await watch.getAttribute('data-state')}: ${await watch.locator('.state').textContent()}`;
  }

  text(selector: string): Promise<string | null> {
    return this.page.locator(selector).first().textContent();
  }

  /** CSS color of an element, as rgb. */
  async color(selector: string): Promise<string> {
    return String(await this.page.evaluate(`getComputedStyle(document.querySelector('${selector}')).color`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.close();
  }
}
