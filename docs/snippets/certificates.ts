import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// The commands of the guide, as a reader runs them.
const page = readFileSync('docs/guides/certificates.md', 'utf8');
const commands = /```bash\n([^]*?)```/.exec(page)![1]!;
process.chdir(mkdtempSync(join(tmpdir(), 'secure-stack-mesh-certificates-')));
execFileSync('bash', ['-e', '-c', commands], { stdio: 'ignore' });
