assert.equal(decrypted.toString(), data);
assert.throws(() => crypto.decrypt({ ...encrypted, hmac: 'AAAA' }, senderPublicKey), {
  name: 'MeshError',
});
