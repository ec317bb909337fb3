import { connectPeer } from './connect.mjs';

export default connectPeer('Connect, HTTP/2, mutual TLS', true);
