// npm run build: the addon, the CommonJS bundle, its ESM wrapper, the types.
//
//   --dev        builds the addon with the quick-to-build profile, as does
//                MESH_BUILD_PROFILE=dev in the environment, also for npm test
//   --no-addon   leaves the addon as it is
//   --target T   builds it for the Rust target T; its linker has to be installed
import { parseArgs } from 'node:util';
import { main, progress } from './lib.mjs';
import { setup } from './setup.mjs';

/** Builds all stale parts. */
export async function build({
  dev = process.env.MESH_BUILD_PROFILE === 'dev',
  addon = true,
  target,
} = {}) {
  await setup();
  // These modules need packages that have only now been installed.
  const [{ buildAddon }, { buildBundle }, { buildTypes }] = await Promise.all([
    import('./addon.mjs'),
    import('./bundle.mjs'),
    import('./types.mjs'),
  ]);
  if (addon) await buildAddon({ dev, triple: target });
  await buildBundle();
  await buildTypes();
  progress('built');
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: { dev: { type: 'boolean' }, addon: { type: 'boolean' }, target: { type: 'string' } },
    allowNegative: true,
  });
  await main(() => build({ dev: values.dev, addon: values.addon ?? true, target: values.target }));
}
