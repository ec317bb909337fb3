// The error message for an addon that does not load.
import { expect, it } from 'vitest';
import { explain, platformName } from '../../js/base/native.js';

it('names platforms as their packages are named', () => {
  expect(platformName('linux', 'x64', 'glibc')).toBe('linux-x64-gnu');
  expect(platformName('linux', 'arm64', 'musl')).toBe('linux-arm64-musl');
  expect(platformName('darwin', 'arm64', undefined)).toBe('darwin-arm64');
  expect(platformName('win32', 'x64', undefined)).toBe('win32-x64-msvc');
});

it('says platform, library, paths, the real errors and what to do', () => {
  const text = explain('linux-x64-musl', 'musl', [
    { path: '/app/secure-stack-mesh.linux-x64-musl.node', problem: 'no such file' },
    { path: '@lemur-bookstores/secure-stack-mesh-linux-x64-musl', problem: 'not installed' },
  ]);
  expect(text).toContain('for linux-x64-musl (musl), Node v');
  expect(text).toContain('/app/secure-stack-mesh.linux-x64-musl.node: no such file');
  expect(text).toContain('npm install @lemur-bookstores/secure-stack-mesh-linux-x64-musl@');
});

it('knows a system that is too old, and one that is not supported', () => {
  const old = explain('linux-x64-gnu', 'glibc', [
    { path: 'x', problem: "version `GLIBC_2.34' not found" },
  ]);
  expect(old).toContain('older than the binary needs');
  expect(explain('freebsd-x64', undefined, [])).toContain('Binaries exist for linux-x64-gnu');
});
