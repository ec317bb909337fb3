// secret new

import { CryptoManager } from '../index.js';
import type { Add } from './runner.js';

export const addSecret: Add = (program, runner) => {
  program
    .command('secret')
    .description('the secret that the services of a mesh share')
    .command('new')
    .description('prints a new secret of 256 random bits, once; it is kept nowhere')
    .action(
      runner(({ output }) => {
        // The core generates the random bytes.
        const secret = new CryptoManager({ aesKeySize: 256 })
          .generateSessionKey()
          .toString('base64url');
        output.line(secret);
        output.document({ v: 1, secret, bits: 256, option: 'security.jwtSecret' });
        if (process.stdout.isTTY) {
          output.remark(
            'Give it to every service of the mesh as security.jwtSecret, or in SECURE_MESH_JWT_SECRET.',
          );
        }
      }),
    );
};
