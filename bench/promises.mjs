// Measures what the README promises, between two processes over loopback:
//
//   npm run build && node bench/promises.mjs
//
// Prints the first call of a session, calls one at a time and 64 in flight
// (1 KiB of JSON both ways, encrypted and authenticated), and token checks.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { JWTManager, SecureMesh } from '../dist/index.mjs';

const [role, directory] = process.argv.slice(2);
const options = { paths: { keysDir: directory } };

if (role === 'server') {
  const mesh = new SecureMesh({ serviceId: 'server', port: 0, ...options });
  mesh.handle('echo', (input) => input);
  await mesh.initialize();
  process.send(mesh.address());
  process.on('disconnect', () => mesh.cleanup());
} else {
  const keys = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-bench-'));
  try {
    await measure(keys);
  } finally {
    rmSync(keys, { recursive: true, force: true });
  }
}

async function measure(keys) {
  console.log(`${cpus().length} × ${cpus()[0].model}, Node ${process.version}`);
  const stdio = ['ignore', 'inherit', 'inherit', 'ipc'];
  const server = spawn(process.execPath, [fileURLToPath(import.meta.url), 'server', keys], {
    stdio,
  });
  const address = await new Promise((resolve) => server.once('message', resolve));
  const discovery = { services: [{ id: 'server', ...address }] };
  const open = async () => {
    const mesh = new SecureMesh({ serviceId: 'client', discovery, paths: { keysDir: keys } });
    await mesh.initialize();
    return mesh;
  };

  const firsts = [];
  for (let i = 0; i < 11; i += 1) {
    const mesh = await open();
    const began = performance.now();
    await mesh.connect('server').call('echo', 1);
    firsts.push(performance.now() - began);
    await mesh.cleanup();
  }
  report('first call: connection, RSA-4096 and hybrid handshake, and the call', firsts, 'ms');

  const mesh = await open();
  const client = mesh.connect('server');
  const payload = { data: 'x'.repeat(1000) };
  await run(client, payload, 64, 30_000);
  for (const inFlight of [1, 64]) {
    const rates = [];
    let times = [];
    for (let round = 0; round < 3; round += 1) {
      const result = await run(client, payload, inFlight, inFlight === 1 ? 5_000 : 60_000);
      rates.push(result.rate);
      times = times.concat(result.times);
    }
    report(`1 KiB, ${inFlight} in flight: time of a call`, times, 'ms');
    report(`1 KiB, ${inFlight} in flight: calls a second`, rates, '');
  }
  await mesh.cleanup();
  server.disconnect();

  const jwt = new JWTManager({ secret: 'x'.repeat(32) });
  const checks = [];
  for (let i = 0; i < 20_000; i += 1) {
    const token = jwt.generateToken('client', `session-${i}`, '1h');
    const began = performance.now();
    jwt.verifyToken(token);
    checks.push((performance.now() - began) * 1000);
  }
  report('check of a token not seen before', checks, 'µs');
}

async function run(client, payload, inFlight, total) {
  const times = [];
  let left = total;
  const began = performance.now();
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      const start = performance.now();
      await client.call('echo', payload);
      times.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return { rate: (total / (performance.now() - began)) * 1000, times };
}

function report(what, values, unit) {
  values.sort((a, b) => a - b);
  const at = (share) => {
    const value = values[Math.min(values.length - 1, Math.floor(values.length * share))];
    return value >= 1000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
  };
  console.log(`${what}: median ${at(0.5)} ${unit}, p99 ${at(0.99)} ${unit}`);
}
