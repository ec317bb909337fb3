// This package with all of its sight: calls recorded, an admin port on both sides, scraped each second, and its
// stream of events read.
import { get } from 'node:http';
import { peer } from './mesh.mjs';

export default peer(
  'secure-stack-mesh, admin port read',
  () => ({ admin: { port: 0 } }),
  (mesh) => {
    const { host, port } = mesh.adminAddress();
    get({ host, port, path: '/api/v1/events' }, (stream) => stream.resume()).on('error', () => {});
    const scrape = () =>
      get({ host, port, path: '/metrics' }, (page) => page.resume()).on('error', () => {});
    setInterval(scrape, 1_000).unref();
  },
);
