// The platforms with a binary, and the platform of this machine.
import { closeSync, openSync, readSync } from 'node:fs';
import { manifest } from './lib.mjs';

const oses = { linux: 'linux', darwin: 'darwin', win32: 'windows' };
const arches = { x64: 'x86_64', arm64: 'aarch64' };

/** The eight supported platforms, with the names of `js/base/native.ts`. */
export const platforms = manifest.napi.targets.map((triple) => {
  const os = Object.keys(oses).find((name) => triple.includes(oses[name]));
  const cpu = Object.keys(arches).find((name) => triple.startsWith(arches[name]));
  const abi = os === 'darwin' ? undefined : triple.split('-').pop();
  return {
    triple,
    name: [os, cpu, abi].filter(Boolean).join('-'),
    os,
    cpu,
    libc: abi === 'gnu' ? 'glibc' : abi === 'musl' ? 'musl' : undefined,
  };
});

/** The file name of the binary for a platform. */
export const binaryName = (platform) => `${manifest.napi.binaryName}.${platform.name}.node`;

/** This machine's platform, or undefined if it is not supported. */
export function currentPlatform() {
  const libc = process.platform === 'linux' ? linuxLibc() : undefined;
  return platforms.find(
    (platform) =>
      platform.os === process.platform && platform.cpu === process.arch && platform.libc === libc,
  );
}

function linuxLibc() {
  const head = Buffer.alloc(4096);
  const file = openSync(process.execPath, 'r');
  try {
    readSync(file, head, 0, head.length, 0);
  } finally {
    closeSync(file);
  }
  return head.includes('/ld-musl-') ? 'musl' : 'glibc';
}
