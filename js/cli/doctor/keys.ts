// The key directory: its owner, its mode and its files.

import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { KeyManager } from '../../index.js';
import { keysDirOf, ownId } from '../identity.js';
import { exists, files } from '../key-directory.js';
import { repairFor } from '../repairs.js';
import { bad, failure, ok, type Finding, type Patient } from './finding.js';

const CHECK = 'key-directory';

export function checkKeyDirectory({ config, options }: Patient): Finding[] {
  const directory = keysDirOf(config, options);
  if (!exists(directory)) {
    return [ok(CHECK, directory, `${directory} is not there yet; the first start makes it`)];
  }
  try {
    // The core opens the directory, and the key if there is one, with its checks.
    new KeyManager(directory).loadKeyPair(ownId(config, options));
    const names = files(directory);
    const faults = names.map((name) => checkFile(join(directory, name)));
    const found = faults.filter((fault) => fault !== undefined);
    if (found.length > 0) return found;
    const text = `${directory} belongs to this user, and is closed to others`;
    return [ok(CHECK, directory, text, { files: names.length })];
  } catch (error) {
    return [failure(CHECK, directory, error)];
  }
}

/**
 * Checks the files in advance. The core checks a file only when it reads it, which may be during a handshake.
 */
function checkFile(file: string): Finding | undefined {
  if (process.platform === 'win32') return undefined;
  const status = lstatSync(file, { throwIfNoEntry: false });
  // A temporary file may have vanished. A directory is not one of the files of the core.
  if (status === undefined || status.isDirectory()) return undefined;
  if (!status.isFile()) {
    const text = `${file} is not a regular file`;
    return { ...bad('fail', CHECK, file, text, repairFor('KEYDIR_TYPE')), reason: 'KEYDIR_TYPE' };
  }
  if ((status.mode & 0o077) !== 0) {
    const mode = (status.mode & 0o777).toString(8);
    const text = `${file} is open to other users (mode ${mode})`;
    const repair = `chmod 600 '${file}', after making sure that nobody else wrote there.`;
    return { ...bad('fail', CHECK, file, text, repair), reason: 'KEYDIR_MODE' };
  }
  return undefined;
}
