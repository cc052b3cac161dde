import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { programPath } from './programs.ts';

const DRIVER = 'vk_swiftshader_icd.json';
const found = ['/usr/lib/chromium', chromiumFolder()]
  .map((folder) => join(folder, DRIVER))
  .find((file) => existsSync(file));
const file = found ?? join('/usr/lib/chromium', DRIVER);

/**
 * The GPU's path without a GPU: Chromium carries SwiftShader, a Vulkan driver that computes on the CPU, and a Vulkan
 * loader next to it. Both are found through the environment, which a host takes from its parent.
 */
export const swiftShader = {
  /** The description of the driver; tests need it. */
  file,
  environment: {
    VK_DRIVER_FILES: file,
    LD_LIBRARY_PATH: [dirname(file), process.env['LD_LIBRARY_PATH'] ?? ''].join(':'),
  },
};

function chromiumFolder(): string {
  const program = programPath('chromium') ?? programPath('google-chrome');
  return program === undefined ? '' : dirname(realpathSync(program));
}
