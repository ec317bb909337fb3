// What the block started, ends.
await mesh.cleanup();
