import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['__test__/**/*.test.ts'],
    // It compares the times of live sessions with attackers of 16 addresses beside them, which needs a machine
    // with nothing else to do: MESH_ATTACKS=1.
    exclude: process.env['MESH_ATTACKS'] ? [] : ['__test__/attacks/addresses.test.ts'],
    // Each file in a process of its own: worker threads and addons that are
    // loaded and unloaded with them are tested on purpose, not by accident.
    pool: 'forks',
    // As many as there are processors: the default leaves one of them idle, and tests wait more than they work.
    maxWorkers: '100%',
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});
