import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';

await mesh.cleanup();
const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
const last = JSON.parse(lines.at(-1) as string);
assert.equal(last.seq, lines.length);
assert.equal(last.details.action, 'end');
assert.ok(last.signature);
rmSync(dirname(file), { recursive: true });
