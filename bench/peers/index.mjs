// The measured peers. Each file of this directory is one way to call another process, with the same exports:
//
//   title       its name in the tables
//   secure      whether it encrypts and authenticates both sides
//   package     the package whose version is reported, if there is one
//   bytes       whether it carries raw bytes
//   streams     whether it has streams
//   serve(context)             starts a server; returns its address, for the other process
//   connect(address, context)  returns a client: json(value), bytes(buffer), and with streams
//                              down(count, onItem) and up(count, value)
//
// `context` has `directory`, where keys may be kept, and `tls`, certificates made for this run.

/** Every peer, in the order of the tables. Each is loaded only by the processes that run it. */
export const peers = {
  mesh: () => import('./mesh.mjs'),
  'mesh-tls': () => import('./mesh-tls.mjs'),
  'mesh-unrecorded': () => import('./mesh-unrecorded.mjs'),
  'mesh-admin': () => import('./mesh-admin.mjs'),
  'grpc-mtls': () => import('./grpc-mtls.mjs'),
  'grpc-plain': () => import('./grpc-plain.mjs'),
  moleculer: () => import('./moleculer.mjs'),
  'connect-h2': () => import('./connect-h2.mjs'),
  'connect-tls': () => import('./connect-tls.mjs'),
  tcp: () => import('./tcp.mjs'),
  tls: () => import('./tls.mjs'),
};

/** A peer by its name. */
export async function load(name) {
  return (await peers[name]()).default;
}
