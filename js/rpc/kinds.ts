// The four kinds of call.

import { CALL_KINDS, type CallKind } from '../base/boundary.js';

/** Whether a value is one of the four. */
export function isCallKind(value: unknown): value is CallKind {
  return (CALL_KINDS as readonly unknown[]).includes(value);
}

/** Whether the inputs of a call are a stream. */
export function streamsIn(kind: CallKind): boolean {
  return kind === 'clientStream' || kind === 'bidiStream';
}

/** Whether the answer of a call is a stream. */
export function streamsOut(kind: CallKind): boolean {
  return kind === 'serverStream' || kind === 'bidiStream';
}
