// The form in which commands register themselves.

import type { Command } from 'commander';
import type { GlobalOptions } from './config.js';
import type { Output } from './output.js';

/** The environment of an action. */
export interface Surroundings<O = GlobalOptions> {
  /** The options of the command and those of all commands. */
  readonly options: O;
  readonly output: Output;
}

/** The work of a command. It returns the exit code, by default 0. */
export type Action<A extends unknown[]> = (
  surroundings: Surroundings<any>,
  ...args: A
) => Promise<number | void> | number | void;

/** Makes the function that commander calls. */
export type Runner = <A extends unknown[]>(action: Action<A>) => (...given: any[]) => Promise<void>;

/** Adds a command to the program. */
export type Add = (program: Command, runner: Runner) => void;
