import { type Browser, chromium } from 'playwright-core';
import { programPath } from './programs.ts';

/** Starts Chromium, without a sandbox because tests may run as root. */
export function launchChromium(): Promise<Browser> {
  const executablePath = programPath('chromium') ?? 'chromium';
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
}
