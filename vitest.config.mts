import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['__test__/**/*.test.ts'],
    // Attacks that take minutes, most of them on memory, are run on request: MESH_ATTACKS=1.
    exclude: process.env['MESH_ATTACKS']
      ? []
      : ['__test__/attacks/{addresses,payloads,withheld}.test.ts'],
    // Each file in a process of its own: worker threads and addons that are
    // loaded and unloaded with them are tested on purpose, not by accident.
    pool: 'forks',
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});
