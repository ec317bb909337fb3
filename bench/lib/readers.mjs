// Readers of an admin port, within the process that has it.
import { get } from 'node:http';

/** Reads the stream of events, and the page of metrics each second. */
export function readAdmin(mesh) {
  const { host, port } = mesh.adminAddress();
  get({ host, port, path: '/api/v1/events' }, (stream) => stream.resume()).on('error', () => {});
  const scrape = () =>
    get({ host, port, path: '/metrics' }, (page) => page.resume()).on('error', () => {});
  setInterval(scrape, 1_000).unref();
}
