// describe

import type { MethodDescription, SchemaDescription, ServiceDescription } from '../index.js';
import type { Output } from './output.js';
import type { Add, Surroundings } from './runner.js';
import { withClient, type SessionOptions } from './session.js';
import { oneLine, toJson } from './text.js';

/** The built-in method. */
export const DESCRIBE = 'securestack.describe';

export const addDescribe: Add = (program, runner) => {
  program
    .command('describe <service>')
    .description('shows the methods of a service that this caller may call: kinds, schemas, limits')
    .option(
      '--address <host:port>',
      'the address of the service, if the configuration does not have it',
    )
    .action(runner<[string]>(describe));
};

async function describe(
  { options, output }: Surroundings<SessionOptions>,
  service: string,
): Promise<void> {
  const description = await withClient(service, options, (client) =>
    client.call<undefined, ServiceDescription>(DESCRIBE),
  );
  output.document(description);
  if (!output.json) show(description, output);
}

function show(
  { service, version, limits, methods, truncated }: ServiceDescription,
  output: Output,
): void {
  output.line(
    `${output.paint('bold', oneLine(service))}, version ${oneLine(version)}, ` +
      `messages up to ${Number(limits.maxMessageBytes)} bytes, ${Number(limits.callTimeoutMs)} ms for a call`,
  );
  for (const method of methods) showMethod(method, output);
  if (methods.length === 0) output.line('  no method that this caller may call');
  if (truncated) output.line('  (more methods or schemas exist: the description is cut off)');
}

function showMethod(method: MethodDescription, output: Output): void {
  const { name, kind, idempotent, timeoutMs, input, output: result, errors = {} } = method;
  const facts = [
    kind ?? 'any kind',
    ...(idempotent ? ['idempotent'] : []),
    ...(timeoutMs === undefined ? [] : [`at most ${Number(timeoutMs)} ms`]),
  ];
  output.line(`  ${output.paint('green', oneLine(name))}  ${oneLine(facts.join(', '))}`);
  if (input !== undefined) output.line(`    input   ${schema(input)}`);
  if (result !== undefined) output.line(`    output  ${schema(result)}`);
  for (const [reason, { code, data }] of Object.entries(errors)) {
    const shown = data === undefined ? '' : ` ${schema(data)}`;
    output.line(`    error   ${oneLine(reason)} (${oneLine(code)})${shown}`);
  }
}

function schema({ vendor, schema: text }: SchemaDescription): string {
  if (text === undefined) return `a schema of ${oneLine(vendor)} without a description`;
  const { $schema: _, ...rest } = text;
  return toJson(rest);
}
