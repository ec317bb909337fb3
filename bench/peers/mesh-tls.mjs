// This package with certificates, and so with TLS 1.3 beneath its own encryption.
import { certified, peer } from './mesh.mjs';

export default peer('secure-stack-mesh over TLS', (tls) => ({
  security: certified(tls, 'required'),
}));
