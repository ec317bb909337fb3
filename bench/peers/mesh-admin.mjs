// This package with all of its sight: calls recorded, an admin port on both sides, scraped each second, and its
// stream of events read.
import { readAdmin } from '../lib/readers.mjs';
import { peer } from './mesh.mjs';

export default peer(
  'secure-stack-mesh, admin port read',
  () => ({ admin: { port: 0 } }),
  readAdmin,
);
