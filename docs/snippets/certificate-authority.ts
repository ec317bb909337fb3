import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const directory = join(mkdtempSync(join(tmpdir(), 'mesh-ca-')), 'ca');
