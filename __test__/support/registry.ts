// A registry of npm with some packages of this working copy's own node_modules.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { root } from '../../scripts/lib.mjs';

/** Serves the installed versions of packages; its URL. */
export async function registry(names: readonly string[]): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-registry-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const packed = new Map(
    names.map((name) => {
      const folder = join(root, 'node_modules', name);
      const args = ['pack', folder, '--json', '--ignore-scripts', '--pack-destination', directory];
      const listed: unknown = JSON.parse(
        execFileSync('npm', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
      );
      const [{ filename }] = Object.values(listed as object) as [{ filename: string }];
      const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      return [name, { file: join(directory, filename), manifest }] as const;
    }),
  );
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '');
    const tarball = [...packed.values()].find(({ file }) => path === `/-/${basename(file)}`);
    if (tarball !== undefined) {
      response.end(readFileSync(tarball.file));
      return;
    }
    const found = packed.get(path.slice(1));
    if (found === undefined) {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{}');
      return;
    }
    const { file, manifest } = found;
    const dist = { tarball: `http://${request.headers.host}/-/${basename(file)}` };
    response.writeHead(200, { 'content-type': 'application/json' }).end(
      JSON.stringify({
        name: manifest.name,
        'dist-tags': { latest: manifest.version },
        versions: { [manifest.version]: { ...manifest, dist } },
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}
