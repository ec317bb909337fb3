// The authority as a service of a mesh: `ca.enrol` and `ca.bundle`.

import { checkKeys, invalidArgument, show } from '../base/arguments.js';
import { MeshError, wrapNativeAsync } from '../base/errors.js';
import type { Addon } from '../base/native.js';
import { after, cancelTimer, every, type Timer } from '../base/timers.js';
import { checkText } from '../base/values.js';
import { BuiltIn, type BuiltInHost } from '../incoming/built-in.js';
import { makeRoute } from '../incoming/route.js';
import type { Context } from '../rpc/context.js';
import { CertificateAuthority, type TrustBundle } from './certificate-authority.js';

/** The answer of `ca.enrol`. */
export interface Enrolled {
  /** The certificate and its issuer, in PEM. */
  certificate: string;
  /** The anchors and the lists. */
  bundle: TrustBundle;
}

type NativeAuthority = InstanceType<Addon['NativeAuthority']>;

/** The interval at which the records of the authority are read: other processes change them too. */
const LOOK_MS = 200;
/** After this time the bundle is made anew: an issuer or a root may have come into use or gone. */
const REMAKE_MS = 30_000;
/** The time for which a service waits for another bundle before it asks again. */
const PATIENCE_MS = 20_000;

/** The authority, for `mesh.mount`: what {@link certificateAuthority} returns. */
export class CertificateAuthorityService extends BuiltIn {
  /** @internal */
  readonly routes = [
    makeRoute('ca.enrol', { kind: 'unary' }, (input, ctx) => this.#enrol(input, ctx)),
    makeRoute('ca.bundle', { kind: 'unary', idempotent: true }, (input, ctx) =>
      this.#another(input, ctx),
    ),
  ];
  readonly #authority: CertificateAuthority;
  readonly #native: NativeAuthority;
  #host: BuiltInHost | undefined;
  #looking: Timer | undefined;
  #busy = false;
  #current: TrustBundle | undefined;
  #madeAt = 0;
  #problem = '';
  readonly #waiting = new Set<() => void>();

  /** @param authority the authority that answers */
  constructor(authority: CertificateAuthority) {
    super();
    this.#authority = authority;
    this.#native = CertificateAuthority.native(authority);
  }

  /** @internal */
  async start(host: BuiltInHost): Promise<void> {
    this.#host = host;
    host.native.mountAuthority(this.#native);
    await this.#look();
    this.#looking = every(LOOK_MS, () => void this.#look());
    this.#looking.unref();
  }

  /** @internal */
  stop(): void {
    cancelTimer(this.#looking);
    this.#host = undefined;
    this.#wake();
  }

  /** A service with a join token gets its first certificate; one that has proved a certificate gets another. */
  async #enrol(input: unknown, ctx: Context): Promise<Enrolled> {
    checkKeys('input', input as object, ['request', 'token']);
    const { request, token } = input as { request: unknown; token?: unknown };
    checkText('input.request', request);
    const { trust, serviceId } = ctx.caller;
    let issued;
    if (trust === 'join-token') {
      checkText('input.token', token);
      issued = await wrapNativeAsync(() => this.#native.enrol(serviceId, token, request));
    } else {
      needsCertificate(trust);
      issued = await wrapNativeAsync(() => this.#native.renew(serviceId, request));
    }
    return { certificate: issued.certificate, bundle: await this.#authority.bundle() };
  }

  /** The bundle, once it is another one than the caller has; the same one after a while. */
  async #another(input: unknown, ctx: Context): Promise<TrustBundle> {
    checkKeys('input', input as object, ['version']);
    const { version } = input as { version?: unknown };
    needsCertificate(ctx.caller.trust);
    this.#current ??= await this.#authority.bundle();
    if (this.#current.version === version && this.#host !== undefined) {
      await this.#change(ctx.signal);
    }
    return this.#current;
  }

  /** Resolves when there is another bundle, or after a while. */
  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancelTimer(timer);
        this.#waiting.delete(end);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = after(PATIENCE_MS, end);
      timer.unref();
      this.#waiting.add(end);
      signal.addEventListener('abort', end, { once: true });
    });
  }

  #wake(): void {
    for (const end of [...this.#waiting]) end();
  }

  /** Looks whether the records have changed, and tells those who wait. */
  async #look(): Promise<void> {
    const host = this.#host;
    if (host === undefined || this.#busy) return;
    this.#busy = true;
    try {
      const changed = await wrapNativeAsync(() => host.native.refreshAuthority());
      if (changed || this.#current === undefined || Date.now() - this.#madeAt > REMAKE_MS) {
        const bundle = await this.#authority.bundle();
        this.#madeAt = Date.now();
        const isOther = bundle.version !== this.#current?.version;
        this.#current = bundle;
        if (isOther) this.#wake();
      }
      this.#problem = '';
    } catch (error) {
      const { message, reason } = MeshError.from(error);
      // The mesh closes while this looks, or the fault lasts.
      if (this.#host === undefined || message === this.#problem) return;
      this.#problem = message;
      host.logger.error(`the authority cannot be used: ${message}`, {
        event: 'authority.broken',
        reason,
      });
    } finally {
      this.#busy = false;
    }
  }
}

/**
 * The authority as a service of a mesh: `mesh.mount(certificateAuthority(authority))`. Services with
 * `security.certificate.authority` get their certificates from it, renew them, and follow its bundle.
 *
 * The mesh needs a certificate of the same authority: `security.certificate.authority.directory`.
 *
 * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`, if `authority` is no {@link CertificateAuthority}
 */
export function certificateAuthority(authority: CertificateAuthority): CertificateAuthorityService {
  if (!(authority instanceof CertificateAuthority)) {
    throw invalidArgument(`authority must be a CertificateAuthority, got ${show(authority)}`);
  }
  return new CertificateAuthorityService(authority);
}

function needsCertificate(trust: string): void {
  if (trust === 'certificate') return;
  throw new MeshError('PERMISSION_DENIED', 'the authority answers services with a certificate', {
    reason: 'PERMISSION_DENIED',
  });
}
