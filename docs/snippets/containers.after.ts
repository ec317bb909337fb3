if (first.publicKey() !== second.publicKey()) throw new Error('two keys');
await Promise.all([first.cleanup(), second.cleanup()]);
