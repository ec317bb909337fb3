// A collector of OTLP that drops the spans: its cost is not that of the mesh.
import { createServer } from 'node:http';

/** Starts the collector; returns its URL, and the function that ends it. */
export async function startCollector() {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.end());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, stop };
}
