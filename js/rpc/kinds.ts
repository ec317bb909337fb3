// The four kinds of call.

import type { CallKind } from './call-types.js';

/** Every kind of call. */
export const CALL_KINDS: readonly unknown[] = [
  'unary',
  'serverStream',
  'clientStream',
  'bidiStream',
];

/** Whether the inputs of a call are a stream. */
export function streamsIn(kind: CallKind): boolean {
  return kind === 'clientStream' || kind === 'bidiStream';
}

/** Whether the answer of a call is a stream. */
export function streamsOut(kind: CallKind): boolean {
  return kind === 'serverStream' || kind === 'bidiStream';
}
