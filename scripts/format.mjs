// npm run format: Rust and TypeScript.
import { main, root, run, tool } from './lib.mjs';
import { setup } from './setup.mjs';

await main(async () => {
  await setup();
  await run('cargo', ['fmt', '--all']);
  await run(process.execPath, [tool('prettier'), '--write', '--log-level=warn', root]);
});
