assert.equal(token.split('.').length, 3);
assert(JSON.stringify(payload).includes(sessionId));
assert.throws(() => jwt.verifyToken(`${token}x`), { name: 'MeshError' });
