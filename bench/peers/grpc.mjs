// @grpc/grpc-js, with certificates on both sides or in the clear.
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';
import { order } from '../lib/payloads.mjs';

const definition = loader.loadSync(fileURLToPath(new URL('echo.proto', import.meta.url)));
const { Echo } = grpc.loadPackageDefinition(definition).bench;
const options = {
  'grpc.max_receive_message_length': 16 << 20,
  'grpc.max_send_message_length': 16 << 20,
  // The certificate's name; without this option the address would be the expected name.
  'grpc.ssl_target_name_override': 'localhost',
};
const encode = (value) => ({ body: Buffer.from(JSON.stringify(value)) });
const decode = ({ body }) => JSON.parse(body.toString());

const handlers = {
  Json: (call, callback) => callback(null, encode(decode(call.request))),
  Bytes: (call, callback) => callback(null, call.request),
  async Down(call) {
    const item = order(1024);
    for (let sent = 0; sent < call.request.count; sent += 1) {
      if (!call.write(encode(item))) await new Promise((resolve) => call.once('drain', resolve));
    }
    call.end();
  },
  Up(call, callback) {
    let count = 0;
    call.on('data', (message) => {
      decode(message);
      count += 1;
    });
    call.on('end', () => callback(null, { count }));
  },
};

/** The peer with these credentials, each created from the certificates of this run. */
export function grpcPeer(title, secure, serverCredentials, clientCredentials) {
  return {
    title,
    secure,
    package: '@grpc/grpc-js',
    bytes: true,
    streams: true,
    async serve({ tls }) {
      const server = new grpc.Server(options);
      server.addService(Echo.service, handlers);
      const bind = promisify(server.bindAsync.bind(server));
      return { port: await bind('127.0.0.1:0', serverCredentials(grpc, tls)) };
    },
    async connect({ port }, { tls }) {
      const client = new Echo(`127.0.0.1:${port}`, clientCredentials(grpc, tls), options);
      const unary = (method) => promisify(client[method].bind(client));
      const [json, bytes] = [unary('Json'), unary('Bytes')];
      return {
        json: async (value) => decode(await json(encode(value))),
        bytes: async (body) => (await bytes({ body })).body,
        async down(count, onItem) {
          for await (const message of client.Down({ count })) onItem(decode(message));
        },
        up: (count, value) =>
          new Promise((resolve, reject) => {
            const call = client.Up((error, answer) =>
              error ? reject(error) : resolve(answer.count),
            );
            void (async () => {
              for (let sent = 0; sent < count; sent += 1) {
                if (!call.write(encode(value))) await new Promise((go) => call.once('drain', go));
              }
              call.end();
            })();
          }),
      };
    },
  };
}
