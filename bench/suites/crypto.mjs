// The cryptography alone: the core in Rust, the exported classes from
// JavaScript, and the same work by node:crypto.
import { start } from '../lib/processes.mjs';
import { criterion } from '../micro/criterion.mjs';

export const name = 'crypto';
export const title = 'The parts, µs';

/** Returns a list of `{ name, core, classes, node }` in µs; a missing figure is null. */
export async function run({ quick, progress }) {
  progress('the core, by criterion');
  const core = await criterion(quick);
  progress('the exported classes and node:crypto');
  const role = start('crypto');
  const seconds = quick ? 0.05 : 1;
  const classes = await role.run('classes', seconds);
  const node = await role.run('nodeCrypto', seconds);
  await role.stop();
  const find = (list, name) => list.find((one) => one.name === name)?.us ?? null;
  return core.map(({ name, us }) => ({
    name,
    core: us,
    classes: find(classes, name),
    node: find(node, name),
  }));
}
