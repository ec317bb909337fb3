// The measured package: the latest build of this one, or the one in the directory BENCH_PACKAGE, to compare
// two builds.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../../scripts/lib.mjs';

const directory = process.env.BENCH_PACKAGE ?? root;
const entry = pathToFileURL(join(directory, 'dist', 'index.mjs')).href;

export const { CryptoManager, JWTManager, SecureMesh } = await import(entry);
