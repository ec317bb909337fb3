// policy check, policy explain

import { resolve } from 'node:path';
import { MeshError, SecureMesh } from '../index.js';
import { NO, OK } from './exits.js';
import { pairs } from './arguments.js';
import type { Add, Surroundings } from './runner.js';
import { errorDocument } from './output.js';
import { oneLine } from './text.js';

interface ExplainOptions {
  from: string;
  method: string;
  spiffeId?: string;
  metadata?: string[];
}

export const addPolicy: Add = (program, runner) => {
  const policy = program.command('policy').description('policy files: who may call what');
  policy
    .command('check <file>')
    .description('checks a policy file as a service does when it starts')
    .action(runner<[string]>(check));
  policy
    .command('explain <file>')
    .description('says which rule decides about a request, and why')
    .requiredOption('--from <id>', 'the service id of the caller')
    .requiredOption('--method <name>', 'the method')
    .option('--spiffe-id <id>', "the SPIFFE id of the caller's certificate")
    .option('--metadata <name=value...>', 'the metadata of the request')
    .action(runner<[string]>(explain));
};

/** Runs a function on a mesh in memory that follows the policy file. */
async function withPolicy<T>(file: string, use: (mesh: SecureMesh) => T | Promise<T>): Promise<T> {
  const mesh = new SecureMesh(
    {
      serviceId: 'policy',
      security: { rsaKeySize: 2048 },
      authorization: { file: resolve(file) },
    },
    'policy',
  );
  try {
    await mesh.initialize();
    return await use(mesh);
  } finally {
    await mesh.cleanup();
  }
}

async function check({ output }: Surroundings, file: string): Promise<number> {
  try {
    const { details } = await withPolicy(file, (mesh) => mesh.healthCheck());
    const { mode, rules } = details.authorization ?? { mode: 'enforce', rules: 0 };
    output.line(`${output.paint('green', 'ok')}: ${file} has ${rules} rules, mode ${mode}`);
    output.document({ v: 1, ok: true, file, mode, rules });
    return OK;
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
    if (output.json) {
      output.document({ v: 1, ok: false, file, error: errorDocument(error) });
    } else {
      output.failed(error);
    }
    return NO;
  }
}

async function explain(
  { options, output }: Surroundings<ExplainOptions>,
  file: string,
): Promise<number> {
  const { from, method, spiffeId } = options;
  const metadata = pairs('--metadata', options.metadata);
  const explained = await withPolicy(file, (mesh) =>
    mesh.explain({ from, method, spiffeId, metadata }),
  );
  const { allowed, why } = explained;
  const word = allowed ? output.paint('green', 'allowed') : output.paint('red', 'denied');
  output.line(`${word}: ${oneLine(why)}`);
  output.document({ v: 1, from, method, ...explained });
  return allowed ? OK : NO;
}
