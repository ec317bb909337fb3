// Common loggers: each receives the message and every field.
import { Writable } from 'node:stream';
import { Console } from 'node:console';
import { pino } from 'pino';
import winston from 'winston';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Logger, SecureMesh } from '../../js/index.js';
import { pair } from '../support/kit.js';
import { make } from '../support/meshes.js';
import { errorOf, until } from '../support/promises.js';

class Lines extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

/** The output of a logger after a failed handler, and the error id that its caller received. */
async function failing(logger: Logger): Promise<string> {
  const { client } = await pair(
    (mesh) =>
      mesh.handle('fail', () => {
        throw new TypeError('the cause');
      }),
    { logger },
  );
  const { errorId } = await errorOf(client.call('fail'));
  expect(errorId).toBeTypeOf('string');
  return errorId;
}

describe('a logger', () => {
  it.each([
    ['of pino', (to: Lines) => pino({ level: 'debug' }, to)],
    ['that is a child of pino’s', (to: Lines) => pino({}, to).child({ service: 'a' })],
  ])('%s gets every field, and the stack', async (_name, make) => {
    const to = new Lines();
    const errorId = await failing(make(to));
    const line = JSON.parse(to.text.split('\n').find((one) => one.includes('failed')) as string);
    expect(line).toMatchObject({
      level: 50,
      msg: 'a handler failed',
      event: 'handler.failed',
      errorId,
      method: 'fail',
      caller: 'caller',
      err: {
        type: 'TypeError',
        message: 'the cause',
        stack: expect.stringContaining('logger.test'),
      },
      error: { name: 'TypeError', message: 'the cause' },
    });
  });

  it.each([
    ['of winston', (logger: winston.Logger) => logger],
    ['that is a child of winston’s', (logger: winston.Logger) => logger.child({ service: 'a' })],
  ])('%s gets every field, and the stack', async (_name, derive) => {
    const to = new Lines();
    const transports = [new winston.transports.Stream({ stream: to })];
    const logger = winston.createLogger({
      level: 'debug',
      format: winston.format.json(),
      transports,
    });
    const errorId = await failing(derive(logger));
    const line = JSON.parse(to.text.split('\n').find((one) => one.includes('failed')) as string);
    expect(line).toMatchObject({
      level: 'error',
      message: 'a handler failed',
      event: 'handler.failed',
      errorId,
      method: 'fail',
      caller: 'caller',
      error: {
        name: 'TypeError',
        message: 'the cause',
        stack: expect.stringContaining('logger.test'),
      },
    });
  });

  it('such as console gets every field, and the error itself', async () => {
    const to = new Lines();
    const errorId = await failing(new Console(to, to));
    expect(to.text).toContain('a handler failed');
    expect(to.text).toContain(errorId);
    expect(to.text).toMatch(/TypeError: the cause\n +at /);
  });
});

describe('an object that takes nothing', () => {
  it.each([
    [{}, 'logger must have a method debug, info, warn or error'],
    [{ log: () => {} }, 'logger must have a method debug, info, warn or error'],
    [{ error: 'stderr' }, 'logger.error must be a function, got string'],
  ])('is no logger: %o', (logger, text) => {
    expect(() => make('a', { logger: logger as Logger })).toThrow(text);
  });
});

describe('without a logger', () => {
  it('a process is warned once, by a code of its own, and not of what was thrown', async () => {
    const seen: (Error & { code?: string })[] = [];
    const take = (warning: Error): void => void seen.push(warning);
    process.on('warning', take);
    onTestFinished(() => void process.off('warning', take));
    const fail = (mesh: SecureMesh): SecureMesh =>
      mesh.handle('fail', () => {
        throw new TypeError('the cause');
      });
    // This one would not hear of it either.
    const deaf = await pair(fail, { logger: { info: () => {} } });
    await errorOf(deaf.client.call('fail'));
    await until(() => seen.length > 0);
    const { client } = await pair(fail);
    for (let n = 0; n < 3; n += 1) await errorOf(client.call('fail'));
    expect(seen.map(({ code }) => code)).toEqual(['SECURE_MESH_NO_LOGGER']);
    expect(seen[0]?.message).toContain('logger: console');
    expect(seen[0]?.message).not.toContain('the cause');
  });
});
