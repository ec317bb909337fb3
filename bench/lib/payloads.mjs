// What is sent. JSON as services send it: records of short fields, half text,
// half numbers and flags; bytes that compress to nothing.
import { createHash } from 'node:crypto';

const memo = new Map();

/** A JSON value whose text is as near to `size` bytes as whole records make it; then padded exactly. */
export function order(size) {
  let value = memo.get(size);
  if (value !== undefined) return value;
  value = { id: 'b61f0e', note: '' };
  if (size > 400) value.items = [];
  for (let number = 0; ; number += 1) {
    const item = {
      sku: `9780${(number * 7919) % 100_000}`,
      title: `The Left Hand of Darkness, printing ${number}`,
      quantity: (number % 9) + 1,
      price: 1295 + number,
      gift: number % 3 === 0,
    };
    if (JSON.stringify(value).length + JSON.stringify(item).length + 1 > size || !value.items) {
      break;
    }
    value.items.push(item);
  }
  value.note = 'n'.repeat(size - JSON.stringify(value).length);
  memo.set(size, value);
  return value;
}

/** `size` bytes that look random, the same ones each time. */
export function noise(size) {
  const blocks = [];
  for (let number = 0; number * 32 < size; number += 1) {
    blocks.push(createHash('sha256').update(String(number)).digest());
  }
  return Buffer.concat(blocks, size);
}

/** The sizes that are measured, in bytes. */
export const SIZES = [100, 1024, 65_536, 1_048_576];

/** A size as the tables write it. */
export function sizeName(size) {
  if (size >= 1_048_576) return `${size / 1_048_576} MiB`;
  return size >= 1024 ? `${size / 1024} KiB` : `${size} B`;
}
