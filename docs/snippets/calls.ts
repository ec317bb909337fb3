import assert from 'node:assert/strict';
import { MeshError, SecureMesh } from '@lemur-bookstores/secure-stack-mesh';

interface Order {
  id: string;
  title: string;
}

const mesh = new SecureMesh({
  serviceId: 'my-service',
  discovery: { services: [{ id: 'other-service', host: 'localhost', port: 50052 }] },
});
await mesh.initialize();
const client = mesh.connect('other-service');
const printed: unknown[][] = [];
const console = { log: (...words: unknown[]) => void printed.push(words) };
