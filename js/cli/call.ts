// call

import { createInterface } from 'node:readline';
import { MeshError, type CallKind, type SecureMeshClient } from '../index.js';
import type { CallOptions, MethodDescription, ServiceDescription } from '../index.js';
import { json, milliseconds, pairs } from './arguments.js';
import { DESCRIBE } from './describe.js';
import { CommandError } from './exits.js';
import type { Output } from './output.js';
import type { Add, Surroundings } from './runner.js';
import { isUndescribed, sessionOf, withClient, type SessionOptions } from './session.js';

interface Options extends SessionOptions {
  kind?: string;
  timeout?: string;
  metadata?: string[];
  idempotent?: boolean;
}

/** The kinds of calls, as the command line spells them. */
const KINDS: Readonly<Record<string, CallKind>> = {
  unary: 'unary',
  'server-stream': 'serverStream',
  'client-stream': 'clientStream',
  bidi: 'bidiStream',
};

export const addCall: Add = (program, runner) => {
  program
    .command('call <service> <method> [json]')
    .description(
      'calls a method and writes its answer as JSON, one line for each item of a stream. ' +
        'The input is an argument; with - it comes from stdin, as do the lines of a client stream.',
    )
    .option(
      '--address <host:port>',
      'the address of the service, if the configuration does not have it',
    )
    .option(
      '--kind <kind>',
      `${Object.keys(KINDS).join(', ')} (default: what the service says, else unary)`,
    )
    .option('--timeout <time>', 'the deadline: milliseconds, or as in 5s (default: 10s)')
    .option('--metadata <name=value...>', "strings for the handler's metadata")
    .option('--idempotent', 'the method is safe to run twice, so the call may be retried')
    .action(runner<[string, string, string | undefined]>(call));
};

async function call(
  { options, output }: Surroundings<Options>,
  service: string,
  method: string,
  input: string | undefined,
): Promise<void> {
  const given = kindOf(options.kind);
  const responseMetadata: Record<string, string> = {};
  const callOptions: CallOptions = {
    metadata: pairs('--metadata', options.metadata),
    onResponseMetadata: (metadata) => void Object.assign(responseMetadata, metadata),
  };
  if (options.timeout !== undefined) {
    callOptions.timeoutMs = milliseconds('--timeout', options.timeout);
  }
  if (options.idempotent === true) callOptions.idempotent = true;
  // The input is checked before anything is sent.
  const parsed = input === undefined || input === '-' ? undefined : json('the input', input);
  await withClient(service, options, async (client, mesh) => {
    const kind = given ?? (await describedKind(client, method));
    const start = performance.now();
    const answer = await perform({ client, method, kind, callOptions, output, input, parsed });
    const ms = Math.round((performance.now() - start) * 1000) / 1000;
    output.document({
      v: 1,
      service,
      method,
      kind,
      ...answer,
      metadata: responseMetadata,
      ms,
      session: sessionOf(mesh, service),
    });
  });
}

function kindOf(given: string | undefined): CallKind | undefined {
  if (given === undefined) return undefined;
  const kind = KINDS[given];
  if (kind !== undefined && Object.hasOwn(KINDS, given)) return kind;
  throw new CommandError(
    `--kind must be one of ${Object.keys(KINDS).join(', ')}; got ${JSON.stringify(given)}`,
    'Leave it out where the service describes itself.',
  );
}

/** The kind that the service states for a method. A service may refuse to describe itself. */
async function describedKind(client: SecureMeshClient, method: string): Promise<CallKind> {
  if (method === DESCRIBE) return 'unary';
  try {
    const { methods } = await client.call<undefined, ServiceDescription>(DESCRIBE);
    const found = methods.find(({ name }: MethodDescription) => name === method)?.kind;
    return Object.values(KINDS).find((kind) => kind === found) ?? 'unary';
  } catch (error) {
    if (error instanceof MeshError && isUndescribed(error)) return 'unary';
    throw error;
  }
}

interface Performance {
  client: SecureMeshClient;
  method: string;
  kind: CallKind;
  callOptions: CallOptions;
  output: Output;
  /** The argument; undefined or `-` for stdin. */
  input: string | undefined;
  /** The argument as a value. */
  parsed: unknown;
}

/** Makes the call. Items are written as they arrive, or collected for `--json`. */
async function perform(
  performance: Performance,
): Promise<{ result: unknown } | { items: unknown[] }> {
  const { client, method, kind, callOptions, output, input, parsed } = performance;
  const stdin = input === '-';
  switch (kind) {
    case 'unary': {
      const value = stdin ? json('stdin', await readAll()) : parsed;
      return { result: write(output, await client.call(method, value, callOptions)) };
    }
    case 'clientStream': {
      const result = await client.clientStream(method, items(input, parsed), callOptions);
      return { result: write(output, result) };
    }
    case 'serverStream': {
      const value = stdin ? json('stdin', await readAll()) : parsed;
      return { items: await collect(client.serverStream(method, value, callOptions), output) };
    }
    case 'bidiStream':
      return {
        items: await collect(client.bidiStream(method, items(input, parsed), callOptions), output),
      };
  }
}

function write(output: Output, value: unknown): unknown {
  if (!output.json) output.item(value);
  return value;
}

async function collect(stream: AsyncIterable<unknown>, output: Output): Promise<unknown[]> {
  const collected: unknown[] = [];
  for await (const item of stream) {
    if (output.json) collected.push(item);
    else output.item(item);
  }
  return collected;
}

/** The items to send: the argument is one, and stdin has one in each line. */
async function* items(input: string | undefined, parsed: unknown): AsyncGenerator<unknown> {
  if (input !== undefined && input !== '-') {
    yield parsed;
    return;
  }
  let number = 0;
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    number += 1;
    if (line.trim() !== '') yield json(`line ${number} of stdin`, line);
  }
}

async function readAll(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
