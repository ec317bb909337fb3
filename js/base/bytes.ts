// Bytes that only this thread can change.

import { isAnyArrayBuffer, isSharedArrayBuffer } from 'node:util/types';

/** Whether a value is a buffer of any kind, or a view of one, of any realm. */
export function isBytes(value: unknown): value is ArrayBufferView | ArrayBufferLike {
  return ArrayBuffer.isView(value) || isAnyArrayBuffer(value);
}

/**
 * Returns the bytes of a view or a buffer. Shared memory is copied first, because another thread could change
 * it between its check and its use, and the addon must never read memory during a write. Other bytes share
 * their memory, so they are valid only until other JavaScript runs.
 */
export function bytesOf(value: ArrayBufferView | ArrayBufferLike): Buffer {
  const view = ArrayBuffer.isView(value) ? value : new Uint8Array(value);
  const { buffer, byteOffset, byteLength } = view;
  const bytes = Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
  return isSharedArrayBuffer(buffer) ? Buffer.from(bytes) : bytes;
}
