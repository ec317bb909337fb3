// Runners of tests: the program is a test of theirs. It runs in the runner's own process or thread.
const BODY = `
  await exercise();
  expect(1).toBe(1);`;

const jest = (name, title, more, body, tools = {}, config = undefined) => ({
  name: `jest-${name}`,
  title: `jest, ${title}`,
  inProcess: true,
  tools: { jest: '30.5.2', ...tools },
  async run(folder) {
    if (config !== undefined) folder.write('jest.config.json', JSON.stringify(config));
    folder.write(
      'program.test.js',
      `${more}
      const { exercise } = require('./program.cjs');
      test('works', async () => {${body}}, 60_000);`,
    );
    await folder.tool('jest', []);
  },
});

const vitest = (pool) => ({
  name: `vitest-${pool}`,
  title: `vitest, pool \`${pool}\``,
  inProcess: true,
  tools: { vitest: '4.1.12' },
  async run(folder) {
    folder.write(
      'program.test.mjs',
      `import { expect, test } from 'vitest';
      import { exercise } from './program.mjs';
      test('works', async () => {${BODY}}, 60_000);`,
    );
    await folder.tool('vitest', ['run', `--pool=${pool}`]);
  },
});

export const runners = [
  jest('node', 'environment `node`', '', BODY),
  jest('fake-timers', 'fake timers', '', `jest.useFakeTimers();${BODY}`),
  jest(
    'faked-globals',
    'fake timers by its configuration',
    '',
    BODY,
    {},
    {
      fakeTimers: { enableGlobally: true },
    },
  ),
  jest('jsdom', 'environment `jsdom`', '/** @jest-environment jsdom */', BODY, {
    'jest-environment-jsdom': '30.5.2',
  }),
  ...['forks', 'threads', 'vmForks', 'vmThreads'].map(vitest),
];
