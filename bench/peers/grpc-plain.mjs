import { grpcPeer } from './grpc.mjs';

export default grpcPeer(
  'grpc-js, in the clear',
  false,
  (grpc) => grpc.ServerCredentials.createInsecure(),
  (grpc) => grpc.credentials.createInsecure(),
);
