// The exit codes, and the error that carries one.

import { CODES, type MeshErrorCode } from '../base/boundary.js';
import { MeshError } from '../index.js';

/** Success. */
export const OK = 0;
/** The command has completed with a negative result: a check failed, a policy denies. */
export const NO = 1;
/** Arguments or configuration are wrong; nothing was done. */
export const USAGE = 2;

/** The exit code of a failed call: 64 plus the number of its gRPC code, as in grpcurl. */
function ofCode(code: MeshErrorCode): number {
  return 64 + CODES.indexOf(code) + 1;
}

/** A fault of the arguments or of the environment, with its repair. */
export class CommandError extends Error {
  /**
   * @param message the fault
   * @param repair a sentence with the repair
   * @param exitCode one of the codes above
   */
  constructor(
    message: string,
    readonly repair: string,
    readonly exitCode: number = USAGE,
  ) {
    super(message);
  }
}

/** Reasons of faults on this side that occur before anything is sent. */
const OWN: readonly string[] = ['CONFIG', 'ARGUMENT', 'ID_SYNTAX', 'WEAK_SECRET', 'BAD_KEY'];

/** The exit code for an error. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommandError) return error.exitCode;
  if (!(error instanceof MeshError)) return NO;
  return !error.remote && OWN.includes(error.reason) ? USAGE : ofCode(error.code);
}
