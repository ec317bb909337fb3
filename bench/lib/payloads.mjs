// The payloads. JSON has records of short fields, half strings, half numbers and flags, as in real services.
// Bytes are incompressible.
import { createHash } from 'node:crypto';

const memo = new Map();

/** Returns a value whose JSON has `size` bytes: whole records, padded exactly. */
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

/** Returns `size` reproducible pseudo-random bytes. */
export function noise(size) {
  const blocks = [];
  for (let number = 0; number * 32 < size; number += 1) {
    blocks.push(createHash('sha256').update(String(number)).digest());
  }
  return Buffer.concat(blocks, size);
}

/** The measured sizes, in bytes. */
export const SIZES = [100, 1024, 65_536, 1_048_576];

/** Formats a size for the tables. */
export function sizeName(size) {
  if (size >= 1_048_576) return `${size / 1_048_576} MiB`;
  return size >= 1024 ? `${size / 1024} KiB` : `${size} B`;
}
