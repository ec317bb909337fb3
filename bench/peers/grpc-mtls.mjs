import { grpcPeer } from './grpc.mjs';

export default grpcPeer(
  'grpc-js, mutual TLS',
  true,
  (grpc, { ca, cert, key }) =>
    grpc.ServerCredentials.createSsl(
      Buffer.from(ca),
      [{ cert_chain: Buffer.from(cert), private_key: Buffer.from(key) }],
      true,
    ),
  (grpc, { ca, cert, key }) =>
    grpc.credentials.createSsl(Buffer.from(ca), Buffer.from(key), Buffer.from(cert)),
);
