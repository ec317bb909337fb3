import assert from 'node:assert/strict';
import { SecureMesh, type MeshConfig as Published } from '@lemur-bookstores/secure-stack-mesh';

// The package accepts a configuration of the README's type.
const config: MeshConfig = {
  serviceId: 'my-service',
  port: 50051,
  security: { rsaKeySize: 4096, aesKeySize: 192, jwtExpiration: '15m', sessionTimeout: 60_000 },
  discovery: { services: [{ id: 'other-service', host: 'localhost', port: 50052 }] },
};
const published: Published = config;
assert.equal(new SecureMesh(published).address(), null);
