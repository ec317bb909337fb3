// The answering side of a peer.
import { load } from '../peers/index.mjs';

/** Starts a peer's server; returns its address. */
export async function serve(peer, context) {
  return (await load(peer)).serve(context);
}
