// A Standard Schema without a library, for the compiler only.
import type { StandardSchema } from '@lemur-bookstores/secure-stack-mesh';

export declare function schema<TInput, TOutput = TInput>(): StandardSchema<TInput, TOutput>;

/** Compiles only if the two types are the same. */
export declare function same<A, B>(
  ...proof: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? [] : ['differ']
): void;
