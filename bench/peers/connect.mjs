// Connect on Node's HTTP/2, with certificates on both sides or in the clear.
import http2 from 'node:http2';
import { fileURLToPath } from 'node:url';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { createClient } from '@connectrpc/connect';
import { connectNodeAdapter, createGrpcTransport } from '@connectrpc/connect-node';
import loader from '@grpc/proto-loader';
import { order } from '../lib/payloads.mjs';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const encode = (value) => ({ body: encoder.encode(JSON.stringify(value)) });
const decode = ({ body }) => JSON.parse(decoder.decode(body));

/** The service of echo.proto, from its descriptor at run time instead of generated code. */
function service() {
  const file = fileURLToPath(new URL('echo.proto', import.meta.url));
  const loaded = loader.loadSync(file)['bench.Echo'];
  const [{ requestType }] = Object.values(loaded);
  const protos = requestType.fileDescriptorProtos.map((bytes) =>
    fromBinary(FileDescriptorProtoSchema, bytes),
  );
  for (const proto of protos) proto.syntax = 'proto3';
  const set = { $typeName: FileDescriptorSetSchema.typeName, file: protos };
  return createFileRegistry(set).getService('bench.Echo');
}

const handlers = {
  json: (request) => encode(decode(request)),
  bytes: (request) => request,
  async *down({ count }) {
    const item = order(1024);
    for (let sent = 0; sent < count; sent += 1) yield encode(item);
  },
  async up(requests) {
    let count = 0;
    for await (const request of requests) {
      decode(request);
      count += 1;
    }
    return { count };
  },
};

/** The peer, with TLS on both sides or without. */
export function connectPeer(title, secure) {
  return {
    title,
    secure,
    package: '@connectrpc/connect',
    bytes: true,
    streams: true,
    async serve({ tls }) {
      const options = { readMaxBytes: 16 << 20, writeMaxBytes: 16 << 20 };
      const routes = (router) => router.service(service(), handlers);
      const handler = connectNodeAdapter({ routes, ...options });
      const { ca, cert, key } = tls;
      const server = secure
        ? http2.createSecureServer({ ca, cert, key, requestCert: true }, handler)
        : http2.createServer(handler);
      await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
      return { port: server.address().port };
    },
    async connect({ port }, { tls }) {
      const { ca, cert, key } = tls;
      const transport = createGrpcTransport({
        baseUrl: `${secure ? 'https' : 'http'}://127.0.0.1:${port}`,
        nodeOptions: secure ? { ca, cert, key, servername: 'localhost' } : {},
        readMaxBytes: 16 << 20,
        writeMaxBytes: 16 << 20,
      });
      const client = createClient(service(), transport);
      return {
        json: async (value) => decode(await client.json(encode(value))),
        bytes: async (body) => (await client.bytes({ body })).body,
        async down(count, onItem) {
          for await (const message of client.down({ count })) onItem(decode(message));
        },
        async up(count, value) {
          const items = async function* () {
            for (let sent = 0; sent < count; sent += 1) yield encode(value);
          };
          return (await client.up(items())).count;
        },
      };
    },
  };
}
