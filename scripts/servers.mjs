// Installs the servers that tests run against, from Debian or Ubuntu: `node scripts/servers.mjs`.
// Where that is impossible, tests that need one are left out, and say so.
import { spawnSync } from 'node:child_process';

const PACKAGES = { etcd: 'etcd-server', named: 'bind9', 'redis-server': 'redis-server' };

const run = (command, args) =>
  spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
const found = (program) =>
  spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${program}`]).status === 0;

const missing = Object.keys(PACKAGES).filter((program) => !found(program));
if (missing.length > 0) {
  const packages = missing.map((program) => PACKAGES[program]);
  if (process.getuid?.() !== 0 || !found('apt-get')) {
    console.log(`not installed: ${packages.join(' ')}; the tests that need them are left out`);
  } else {
    // Debian starts what it installs; the tests start their own.
    process.env.DEBIAN_FRONTEND = 'noninteractive';
    process.env.RUNLEVEL = '1';
    run('apt-get', ['update', '-qq']);
    run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages]);
  }
}
