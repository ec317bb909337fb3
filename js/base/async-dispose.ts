/** The symbol of the method that `await using` calls. Node has it since 18.18; a sandbox may lack it. */
export const asyncDispose: typeof Symbol.asyncDispose =
  Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');
