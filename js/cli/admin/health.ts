// health

import { NO, OK } from '../exits.js';
import type { Add, Surroundings } from '../runner.js';
import { oneLine } from '../text.js';
import { ADMIN_OPTION, adminPort, type AdminOptions } from './port.js';

export const addHealth: Add = (program, runner) => {
  program
    .command('health')
    .description('asks a process whether it lives and is ready; exits with 1 if it is not')
    .option(...ADMIN_OPTION)
    .action(runner<[]>(health));
};

async function health({ options, output }: Surroundings<AdminOptions>): Promise<number> {
  const port = await adminPort(options);
  const [live, ready] = [await port.read('livez'), await port.read('readyz')];
  const is = { live: live.status === 200, ready: ready.status === 200 };
  const lines = ready.text.split('\n').filter((line) => line !== '');
  const reasons = is.ready ? [] : lines;
  output.document({ v: 1, ...is, reasons });
  output.line(is.ready ? output.paint('green', 'ready') : output.paint('red', 'not ready'));
  for (const reason of reasons) output.line(`  ${oneLine(reason)}`);
  return is.live && is.ready ? OK : NO;
}
