import axe from 'axe-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { CrashPlant } from '../support/crash-plant.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';

/** A watch of the plant's `level`: abnormal above 1. */
export const levelWatch = {
  model: 'echo',
  tags: ['level'],
  window: { step: '100ms', hop: '500ms', maxAge: '1s' },
  alarm: {},
};

/** A plant and the agent that watches it. Its tags are `level`, `count` and `calm`, which stays 0. */
export class WatchedPlant implements AsyncDisposable {
  readonly plant: CrashPlant;
  readonly folder = new AgentFolder();
  agent: AgentProcess | undefined;

  private constructor(plant: CrashPlant) {
    this.plant = plant;
  }

  static async start(
    watches: Readonly<Record<string, object>> = { level: levelWatch },
    access: object = { anonymous: 'operator' },
    more: object = {},
  ): Promise<WatchedPlant> {
    const line = new WatchedPlant(await CrashPlant.start());
    line.configure(watches, access, more);
    await line.startAgent();
    return line;
  }

  /** Writes the configuration for the next start. */
  configure(watches: Readonly<Record<string, object>>, access: object, more: object = {}): void {
    const http = { listen: '127.0.0.1:0', ...access };
    const { sources, models } = this.plant.sections('100ms');
    const { plc } = sources;
    const calm = { register: 'holding', address: 2, type: 'uint16' };
    this.folder.configure({
      sources: { plc: { ...plc, tags: { ...plc.tags, calm } } },
      models,
      watches,
      http,
      ...more,
    });
  }

  async startAgent(): Promise<void> {
    this.agent = await AgentProcess.start(this.folder.configFile);
  }

  get url(): string {
    return this.agent?.httpUrl ?? '';
  }

  setLevel(level: number): void {
    this.plant.plc.registers[0] = level;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent?.[Symbol.asyncDispose]();
    await this.plant[Symbol.asyncDispose]();
    this.folder[Symbol.dispose]();
  }
}

/** A page of the web application in Chromium. */
export class ScreenPage implements AsyncDisposable {
  readonly page: Page;
  /** Errors of its scripts, and what the content security policy refused. */
  readonly errors: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.on('pageerror', ({ message }) => this.errors.push(message));
    page.on('console', (message) => {
      if (message.text().includes('Content Security Policy')) this.errors.push(message.text());
    });
  }

  static async open(browser: Browser, options: BrowserContextOptions = {}): Promise<ScreenPage> {
    // Without animation a state looks the same at every moment.
    const context = await browser.newContext({ reducedMotion: 'reduce', locale: 'en-GB', ...options });
    // A guard as the limits of vitest.config.ts, not a wait.
    context.setDefaultTimeout(120_000);
    return new ScreenPage(await context.newPage());
  }

  /** Waits until the page follows the agent: a busy machine may lose the connection for a moment, and actions need it. */
  async isLive(): Promise<void> {
    await this.page.locator('#link[data-state="live"]').waitFor();
  }

  /** Color of the signal lamp: red, amber, green or off. */
  lamp(): Promise<string | null> {
    return this.page.locator('#lamp').getAttribute('data-on');
  }

  /** Look and state text of a tile. */
  async tile(watch: string): Promise<string> {
    const tile = this.page.locator('.tile', { has: this.page.locator(`strong:text-is("${watch}")`) });
    return `${await tile.getAttribute('data-look')}: ${await tile.locator('.state').textContent()}`;
  }

  /** Violations of WCAG that axe finds, each with its first element. */
  async violations(): Promise<readonly string[]> {
    await this.page.evaluate(axe.source);
    return this.page.evaluate(`axe.run().then(({ violations }) =>
      violations.map(({ id, nodes }) => id + ': ' + nodes[0].html.slice(0, 120) + ' ' + nodes[0].failureSummary))`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.context().close();
  }
}
