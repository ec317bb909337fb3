import assert from 'node:assert/strict';
import { SecureMesh, type MeshConfig as Published } from '@lemur-bookstores/secure-stack-mesh';

// What is written after the README's type is what the package takes.
const config: MeshConfig = {
  serviceId: 'my-service',
  port: 50051,
  security: { rsaKeySize: 4096, aesKeySize: 192, jwtExpiration: '15m', sessionTimeout: 60_000 },
  discovery: { services: [{ id: 'other-service', host: 'localhost', port: 50052 }] },
};
const published: Published = config;
assert.equal(new SecureMesh(published).address(), null);
