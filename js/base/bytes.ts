// Bytes that only this thread can change.

import { isAnyArrayBuffer, isSharedArrayBuffer } from 'node:util/types';

/** Whether a value is bytes: a view of a buffer, or a buffer of any kind, of any realm. */
export function isBytes(value: unknown): value is ArrayBufferView | ArrayBufferLike {
  return ArrayBuffer.isView(value) || isAnyArrayBuffer(value);
}

/**
 * The bytes of a view or a buffer. Shared memory is copied first: another thread could change it
 * between the moment it is checked and the moment it is used, and the addon must never read what is
 * being written. All else is the same memory, for as long as JavaScript does not run.
 */
export function bytesOf(value: ArrayBufferView | ArrayBufferLike): Buffer {
  const view = ArrayBuffer.isView(value) ? value : new Uint8Array(value);
  const { buffer, byteOffset, byteLength } = view;
  const bytes = Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
  return isSharedArrayBuffer(buffer) ? Buffer.from(bytes) : bytes;
}
