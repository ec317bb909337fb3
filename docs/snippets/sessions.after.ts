assert.equal(sessions.getSession(session.id)?.id, session.id);
assert.throws(() => sessions.trackMessage('no such session'), { name: 'MeshError' });
