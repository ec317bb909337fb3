// Installs the servers that tests run against, on Debian and Ubuntu for root: etcd, bind9, Prometheus, Redis.
import { capture, main, progress } from './lib.mjs';

/** A program of each package. */
const PACKAGES = {
  etcd: 'etcd-server',
  named: 'bind9',
  promtool: 'prometheus',
  'redis-server': 'redis-server',
};

/** Installs what is missing, where that is possible. Returns the packages that are not installed. */
export async function servers() {
  const missing = [];
  for (const [program, name] of Object.entries(PACKAGES)) {
    if (!(await isInstalled(program))) missing.push(name);
  }
  if (missing.length === 0) return [];
  const can = process.platform === 'linux' && process.getuid?.() === 0;
  if (!can || !(await isInstalled('apt-get'))) {
    progress(`not installed: ${missing.join(' ')}; the tests that need them are left out`);
    return missing;
  }
  progress(`apt-get install ${missing.join(' ')}`);
  // Debian starts what it installs; the tests start their own.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  await capture('apt-get', ['update', '-qq'], { env });
  const arguments_ = ['install', '-y', '-qq', '--no-install-recommends', ...missing];
  const { code, stderr } = await capture('apt-get', arguments_, { env });
  if (code === 0) return [];
  progress(stderr.trim().split('\n').slice(-3).join('\n'));
  return missing;
}

async function isInstalled(program) {
  return (await capture('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${program}`])).code === 0;
}

if (process.argv[1] === import.meta.filename) {
  await main(async () => void (await servers()));
}
