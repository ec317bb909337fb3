// The error message for an addon that does not load.
import { expect, it } from 'vitest';
import { explain, platformName } from '../../js/base/native.js';

it('names platforms as their packages are named', () => {
  expect(platformName('linux', 'x64', 'glibc')).toBe('linux-x64-gnu');
  expect(platformName('linux', 'arm64', 'musl')).toBe('linux-arm64-musl');
  expect(platformName('darwin', 'arm64', undefined)).toBe('darwin-arm64');
  expect(platformName('win32', 'x64', undefined)).toBe('win32-x64-msvc');
});

const NAME = '@lemur-bookstores/secure-stack-mesh-linux-x64-musl';

it('says platform, library, paths, the real errors and what to do', () => {
  const attempts = [
    { path: '/app/secure-stack-mesh.linux-x64-musl.node', problem: 'no such file' },
    { path: NAME, problem: 'not installed' },
  ];
  const text = explain('linux-x64-musl', attempts, { libc: 'musl' });
  expect(text).toContain('for linux-x64-musl (musl), Node v');
  expect(text).toContain('/app/secure-stack-mesh.linux-x64-musl.node: no such file');
  expect(text).toContain(`npm install ${NAME}@`);
});

it('knows a system that is too old, and one that is not supported', () => {
  const old = explain('linux-x64-gnu', [{ path: 'x', problem: "version `GLIBC_2.34' not found" }]);
  expect(old).toContain('older than the binary needs');
  expect(explain('freebsd-x64', [])).toContain('Binaries exist for linux-x64-gnu');
});

it.each([
  [
    'Requires ffi access to "/x.node", run again with the --allow-ffi flag',
    { deno: '2.9.6' },
    '--allow-ffi',
  ],
  ['ERR_DLOPEN_DISABLED: Cannot load native addon', {}, '--allow-addons'],
  ['ERR_ACCESS_DENIED: Access to this API has been restricted', {}, '--allow-fs-read'],
  [
    'not installed',
    { others: ['linux-x64-gnu'] },
    'is the binary for linux-x64-gnu, not for linux-x64-musl',
  ],
  [
    'not installed',
    { bundle: '/app/out.mjs' },
    'copy secure-stack-mesh.linux-x64-musl.node into the folder',
  ],
  ['not installed', {}, '--omit=optional'],
])('gives the advice that fits: %s, %j', (problem, surroundings, advice) => {
  const text = explain('linux-x64-musl', [{ path: NAME, problem }], surroundings);
  expect(text.split('\n').at(-1)).toContain(advice);
});
