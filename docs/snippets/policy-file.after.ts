const { authorization } = details;
if (authorization?.rules !== 1 || authorization.problem !== null)
  throw new Error(JSON.stringify(authorization));
await mesh.cleanup();
