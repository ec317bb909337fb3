assert.deepEqual(printed, [
  ['The Left Hand of Darkness'],
  ['NOT_FOUND', 'no such order', { id: 'none' }],
]);
await mesh.cleanup();
