// The machine of the figures.
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { capture } from '../../scripts/lib.mjs';
import { load, peers } from '../peers/index.mjs';

/** Facts about the machine, and the versions of everything that is measured. */
export async function machine() {
  const versions = {};
  for (const name of Object.keys(peers)) {
    const { package: of } = await load(name);
    if (of !== undefined) versions[of] = versionOf(`../node_modules/${of}/package.json`);
  }
  return {
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    kernel: `${os.type()} ${os.release()}`,
    arch: os.arch(),
    node: process.version,
    openssl: process.versions.openssl,
    rustc: (await capture('rustc', ['--version'])).stdout.trim(),
    version: versionOf('../../package.json'),
    commit: (await capture('git', ['rev-parse', '--short', 'HEAD'])).stdout.trim(),
    loadBefore: os.loadavg().map((load) => Math.round(load * 100) / 100),
    peers: versions,
  };
}

function versionOf(file) {
  return JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')).version;
}
