// Where the tests of the dashboard find Chromium: CHROMIUM_PATH, the system's, or else, for root on Debian, a
// fresh installation from its packages.
import { existsSync } from 'node:fs';
import { capture, main, progress, StepFailed } from './lib.mjs';

const PATHS = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
];

/** Returns the path of an installed Chromium, or undefined. */
export function findChromium() {
  return [process.env.CHROMIUM_PATH, ...PATHS].find((path) => path && existsSync(path));
}

/**
 * Returns the path of Chromium, after an installation where that is possible; undefined where there is none and
 * none can be installed.
 */
export async function chromium() {
  const found = findChromium();
  if (found || process.platform !== 'linux' || process.getuid?.() !== 0) return found;
  if ((await capture('apt-get', ['--version'])).code !== 0) return undefined;
  progress('Chromium is not installed: apt-get install chromium');
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await capture('apt-get', ['update', '-qq'], { env: { ...process.env, ...env } });
  const done = await capture(
    'apt-get',
    ['install', '-y', '-qq', '--no-install-recommends', 'chromium', 'fonts-dejavu-core'],
    { env: { ...process.env, ...env } },
  );
  if (done.code !== 0) progress(done.stderr.trim().split('\n').slice(-3).join('\n'));
  return findChromium();
}

if (process.argv[1] === import.meta.filename) {
  await main(async () => {
    const path = await chromium();
    if (path === undefined) {
      throw new StepFailed('there is no Chromium; install it, or set CHROMIUM_PATH to its program');
    }
    process.stdout.write(`${path}\n`);
  });
}
