// Loaded before each program of the quick start, to report facts to the parent process that the program
// itself does not print. It does not change the program.
import { createHash, createPublicKey } from 'node:crypto';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(pathToFileURL(process.argv[1]));
const { SecureMesh, SecureMeshClient } = require('@lemur-bookstores/secure-stack-mesh');

const results = [];
let current;

const { initialize, cleanup } = SecureMesh.prototype;
const { call } = SecureMeshClient.prototype;

SecureMesh.prototype.initialize = async function () {
  await initialize.call(this);
  current = this;
  tell('ready', {
    serviceId: this.getStats().service,
    address: this.address(),
    ...key(this.publicKey()),
  });
};

SecureMeshClient.prototype.call = async function (...args) {
  try {
    const result = await call.apply(this, args);
    results.push(result);
    return result;
  } catch (error) {
    tell('failed', error.toJSON());
    throw error;
  }
};

SecureMesh.prototype.cleanup = async function () {
  const stats = this.getStats();
  tell('summary', { stats, results, requests: stats.messages.received });
  await cleanup.call(this);
};

process.on('message', (message) => {
  if (message === 'stop') void current.cleanup().then(() => process.disconnect());
});
// The channel to the parent must not keep the program alive.
process.channel.unref();

function tell(type, facts) {
  process.send({ type, ...facts });
}

/** The size of a key and its RFC 7638 thumbprint. */
function key(pem) {
  const publicKey = createPublicKey(pem);
  const { e, kty, n } = publicKey.export({ format: 'jwk' });
  return {
    bits: publicKey.asymmetricKeyDetails.modulusLength,
    thumbprint: createHash('sha256').update(JSON.stringify({ e, kty, n })).digest('base64url'),
  };
}
