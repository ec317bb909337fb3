// What the text shows is what the package takes.
import type { MeshConfig as Exported } from '@lemur-bookstores/secure-stack-mesh';

const shown: MeshConfig = { serviceId: 'my-service', port: 50051 };
const taken: Exported = shown;
if (taken.port !== 50051) throw new Error('not taken');
