// A collector of OTLP in this process, which decodes what it gets by the schema in `proto/`.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import protobuf from 'protobufjs';
import { onTestFinished } from 'vitest';
import { root } from '../../scripts/lib.mjs';
import { until } from './promises.js';

/** A span as the collector got it. */
export interface Exported {
  readonly service: string;
  readonly name: string;
  readonly kind: string;
  readonly trace: string;
  readonly id: string;
  readonly parent: string;
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: Record<string, unknown>;
  readonly status: { readonly code: string; readonly message: string } | undefined;
}

export interface Collector {
  readonly url: string;
  readonly spans: Exported[];
  readonly requests: IncomingMessage['headers'][];
  /** Waits for a span. */
  span(kind: 'CLIENT' | 'SERVER', name: string): Promise<Exported>;
}

const types = protobuf.loadSync(join(root, 'proto/opentelemetry/trace.proto'));
const request = types.lookupType('opentelemetry.ExportTraceServiceRequest');
const response = types.lookupType('opentelemetry.ExportTraceServiceResponse');

/** The body of an answer. */
export function answer(rejected = 0, message = ''): Buffer {
  const partial = rejected === 0 ? {} : { rejectedSpans: rejected, errorMessage: message };
  return Buffer.from(response.encode(response.fromObject({ partialSuccess: partial })).finish());
}

function read(bytes: Buffer): Exported[] {
  const options = { longs: String, enums: String, bytes: Array };
  const message: any = request.toObject(request.decode(bytes), options);
  const attributes = (list: any[] = []): Record<string, unknown> =>
    Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]]));
  const hex = (id: number[] = []): string => Buffer.from(id).toString('hex');
  return message.resourceSpans.flatMap(({ resource, scopeSpans }: any) =>
    scopeSpans.flatMap(({ spans }: any) =>
      spans.map((span: any) => ({
        service: attributes(resource.attributes)['service.name'],
        name: span.name,
        kind: span.kind.replace('SPAN_KIND_', ''),
        trace: hex(span.traceId),
        id: hex(span.spanId),
        parent: hex(span.parentSpanId),
        start: BigInt(span.startTimeUnixNano),
        end: BigInt(span.endTimeUnixNano),
        attributes: attributes(span.attributes),
        status: span.status,
      })),
    ),
  );
}

/** Starts a collector; `respond` answers instead of it, and says whether it took the spans. */
export async function collector(
  respond?: (response: ServerResponse, count: number) => boolean,
  tls?: ServerOptions,
): Promise<Collector> {
  const spans: Exported[] = [];
  const requests: IncomingMessage['headers'][] = [];
  const take = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    requests.push({ ...incoming.headers, path: incoming.url });
    const got = read(await buffer(incoming));
    if (respond !== undefined && !respond(outgoing, requests.length)) return;
    spans.push(...got);
    if (respond === undefined) {
      outgoing.setHeader('content-type', 'application/x-protobuf').end(answer());
    }
  };
  const listener = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    take(incoming, outgoing).catch(() => outgoing.destroy());
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const scheme = tls === undefined ? 'http' : 'https';
  return {
    url: `${scheme}://${tls === undefined ? '127.0.0.1' : 'localhost'}:${port}`,
    spans,
    requests,
    span: async (kind, name) => {
      const wanted = (span: Exported): boolean => span.kind === kind && span.name === name;
      await until(() => spans.some(wanted), 15_000);
      return spans.find(wanted) as Exported;
    },
  };
}
