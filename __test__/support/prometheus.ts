// A real Prometheus that scrapes meshes of this process; `scripts/servers.mjs` installs it.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { SecureMesh } from '../../js/index.js';

/** The token of the admin ports that it reads. */
export const TOKEN = 'a-token-of-these-tests-0123456789';

/** Whether Prometheus and promtool are installed. */
export const installed = ['promtool', 'prometheus'].every(
  (name) => spawnSync(name, ['--version']).status === 0,
);

/** Runs promtool. */
export function promtool(args: string[], input = ''): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

/** A Prometheus that runs until the end of the test. */
export interface Prometheus {
  /** The result of a query; nothing while it starts. */
  query(text: string): Promise<any[]>;
  /** The exemplars of a metric of the last minute; nothing while it starts. */
  exemplars(metric: string): Promise<any[]>;
  /** The names of the alerts that fire. */
  firing(): Promise<Set<string>>;
}

/** Starts a Prometheus that scrapes the meshes each second, with files of rules. */
export async function prometheus(meshes: SecureMesh[], rules: string[]): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'prometheus-'));
  const free = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => free.once('listening', resolve));
  const { port } = free.address() as AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  const targets = meshes.map((mesh) => {
    const { host, port: admin } = mesh.adminAddress()!;
    return `${host}:${admin}`;
  });
  const job = {
    job_name: 'mesh',
    scrape_interval: '1s',
    authorization: { credentials: TOKEN },
    static_configs: [{ targets }],
  };
  writeFileSync(
    join(folder, 'prometheus.yml'),
    JSON.stringify({
      global: { evaluation_interval: '1s' },
      scrape_configs: [job],
      rule_files: rules,
    }),
  );
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--enable-feature=exemplar-storage',
    ],
    { stdio: 'ignore' },
  );
  onTestFinished(async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });
  // While it starts it answers in words, or not at all.
  const ask = async (path: string): Promise<any> => {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`);
      return await answer.json();
    } catch {
      return undefined;
    }
  };
  return {
    query: async (text) =>
      (await ask(`query?query=${encodeURIComponent(text)}`))?.data?.result ?? [],
    exemplars: async (metric) => {
      const now = Date.now() / 1000;
      const range = `start=${now - 60}&end=${now + 1}`;
      const found: any[] = (await ask(`query_exemplars?query=${metric}&${range}`))?.data ?? [];
      return found.flatMap(({ seriesLabels, exemplars }) =>
        exemplars.map((one: any) => ({ ...one, of: seriesLabels })),
      );
    },
    firing: async () => {
      const alerts: any[] = (await ask('alerts'))?.data?.alerts ?? [];
      const firing = alerts.filter(({ state }) => state === 'firing');
      return new Set(firing.map(({ labels }) => labels.alertname as string));
    },
  };
}
