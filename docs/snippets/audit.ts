import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileAdapter, SecureMesh } from '@lemur-bookstores/secure-stack-mesh';

const file = join(mkdtempSync(join(tmpdir(), 'secure-stack-mesh-audit-')), 'audit.log');
