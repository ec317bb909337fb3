import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';

assert.match(certificate, /BEGIN CERTIFICATE/);
assert.match(key ?? '', /BEGIN PRIVATE KEY/);
assert.match(ca, /BEGIN CERTIFICATE/);
assert.match(crl, /BEGIN X509 CRL/);
assert.ok(expiresAt > Date.now());
assert.equal(revoked?.serviceId, 'orders');
rmSync(dirname(directory), { recursive: true });
