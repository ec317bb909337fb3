// npm test: installs and builds stale parts, then runs every test, Rust and JavaScript. Arguments go to
// vitest: npm test -- codec
import { hasCargo, main, progress, run, tool } from './lib.mjs';
import { build } from './build.mjs';
import { chromium } from './chromium.mjs';
import { servers } from './servers.mjs';

await main(async () => {
  await build();
  const filters = process.argv.slice(2);
  if (filters.length === 0) await rust();
  // The tests of the dashboard use it; without it they are skipped, except in CI.
  await chromium();
  // The tests that need a server that is not installed are left out.
  await servers();
  progress('JavaScript tests');
  await run(process.execPath, [tool('vitest'), 'run', ...filters]);
});

async function rust() {
  if (await hasCargo('nextest')) {
    progress('Rust tests (cargo nextest), then the examples in the documentation');
    await run('cargo', ['nextest', 'run', '--workspace', '--locked']);
    await run('cargo', ['test', '--workspace', '--locked', '--doc']);
  } else {
    progress('Rust tests (cargo test)');
    await run('cargo', ['test', '--workspace', '--locked']);
  }
}
