/** What `await using` calls. Node has had the symbol since 18.18; a sandbox may lack it. */
export const asyncDispose: typeof Symbol.asyncDispose =
  Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');
