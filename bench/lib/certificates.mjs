// Certificates for peers with TLS: one authority, one leaf for both sides, generated for each run and not stored.
// The names `server` and `client` are those of this package's services.
import selfsigned from 'selfsigned';

/** Returns `{ ca, cert, key }` in PEM, with P-256 as in a fast TLS deployment. */
export async function certificates() {
  const common = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' };
  const authority = await selfsigned.generate([{ name: 'commonName', value: 'bench authority' }], {
    ...common,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, digitalSignature: true, critical: true },
    ],
  });
  const leaf = await selfsigned.generate([{ name: 'commonName', value: '127.0.0.1' }], {
    ...common,
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 7, ip: '127.0.0.1' },
          { type: 2, value: 'localhost' },
          { type: 2, value: 'server' },
          { type: 2, value: 'client' },
        ],
      },
    ],
  });
  return { ca: authority.cert, cert: leaf.cert, key: leaf.private };
}
