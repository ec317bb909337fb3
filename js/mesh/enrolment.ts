// The certificate that a mesh gets from the built-in authority, and keeps up to date.

import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Enrolled } from '../authority/service.js';
import type { TrustBundle } from '../authority/certificate-authority.js';
import { MeshError, wrapNativeAsync } from '../base/errors.js';
import type { SafeLogger } from '../base/logger.js';
import type { Addon } from '../base/native.js';
import { after, cancelTimer, type Timer } from '../base/timers.js';
import type { CallOptions } from '../rpc/call-types.js';

type NativeEnrolment = InstanceType<Addon['NativeEnrolment']>;
type Standing = NonNullable<Awaited<ReturnType<NativeEnrolment['standing']>>>;

/** Makes a call of the mesh to the service with the authority. */
export type Ask = (
  service: string,
  method: string,
  input: unknown,
  options: CallOptions,
) => Promise<unknown>;

/** The interval at which an authority on this machine is checked for changes. */
const LOOK_MS = 200;
/** The service waits for another bundle for less than this. */
const BUNDLE_TIMEOUT_MS = 30_000;
const ENROL_TIMEOUT_MS = 20_000;
/** The longest wait after a failure. */
const MAX_PAUSE_MS = 30_000;

/** The shortest wait after several failures. */
const MIN_PAUSE_MS = 1_000;
/** The share of the remaining time that a wait may take. */
const LEFT = 0.1;

/** Gets the certificate, renews it, and follows the bundle. */
export class Enrolment {
  readonly #native: NativeEnrolment;
  readonly #ask: Ask;
  readonly #logger: SafeLogger;
  readonly #directory: string | undefined;
  readonly #stopped = new AbortController();
  #standing: Standing | undefined;
  #version: string | undefined;
  #asking = 0;
  #problem: string | undefined;
  #timers = new Set<Timer>();

  /**
   * @param ask makes the calls of a mesh that has a certificate
   * @param directory the directory of the authority, if this process serves it
   */
  constructor(
    native: NativeEnrolment,
    ask: Ask,
    { logger, directory }: { logger: SafeLogger; directory: string | undefined },
  ) {
    this.#native = native;
    this.#ask = ask;
    this.#logger = logger;
    this.#directory = directory;
  }

  /** The calls under way that keep no process alive. */
  get asking(): number {
    return this.#asking;
  }

  /** The fault that keeps the certificate from being renewed. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /**
   * Sees to it that there is a certificate.
   *
   * @param joining makes a call with the join token alone
   */
  async prepare(joining: Ask): Promise<void> {
    const native = this.#native;
    const held = await wrapNativeAsync(() => native.standing(Math.random()));
    if (held !== null && Date.now() < held.renewAt) {
      this.#standing = held;
      return;
    }
    if (native.service === null) return this.#renewHere();
    if (held !== null) {
      // It is renewed by a session with the certificate itself, once the mesh runs.
      this.#standing = held;
      return;
    }
    const token = native.joinToken;
    if (token === null || native.tokenHasEnded()) {
      throw new MeshError(
        'INVALID_ARGUMENT',
        `this service has no certificate, and ${token === null ? 'no join token' : 'its join token has ended'}; ` +
          'give it a new one as security.certificate.authority.joinToken or SECURE_MESH_JOIN_TOKEN',
        { reason: 'CONFIG' },
      );
    }
    const request = await wrapNativeAsync(() => native.request());
    const answer = await joining(
      native.service,
      'ca.enrol',
      { request, token },
      {
        timeoutMs: ENROL_TIMEOUT_MS,
      },
    );
    await this.#accept(answer as Enrolled, true);
    this.#logger.info('this service has its first certificate', {
      event: 'certificate.enrolled',
      authority: native.service,
    });
  }

  /** Begins to renew, and to follow the bundle. */
  start(): void {
    void this.#keepRenewed();
    void (this.#native.service === null ? this.#followHere() : this.#follow());
  }

  /** Ends it. */
  stop(): void {
    this.#stopped.abort();
    for (const timer of this.#timers) cancelTimer(timer);
    this.#timers.clear();
  }

  async #keepRenewed(): Promise<void> {
    for (let failures = 0; !this.#stopped.signal.aborted;) {
      const wait = (this.#standing?.renewAt ?? 0) - Date.now();
      await this.#pause(Math.max(wait, failures === 0 ? 0 : this.#delay(failures)));
      if (this.#stopped.signal.aborted) return;
      if (Date.now() < (this.#standing?.renewAt ?? 0)) continue;
      try {
        await this.#renew();
        failures = 0;
        this.#problem = undefined;
      } catch (error) {
        if (this.#stopped.signal.aborted) return;
        failures += 1;
        this.#report(MeshError.from(error));
      }
    }
  }

  /** The delay after so many failures: shorter where little of the certificate's time is left. */
  #delay(failures: number): number {
    const left = (this.#standing?.expiresAt ?? 0) - Date.now();
    return Math.min(pauseAfter(failures), Math.max(left * LEFT, MIN_PAUSE_MS));
  }

  async #renew(): Promise<void> {
    const { service } = this.#native;
    if (service === null) return this.#renewHere();
    const request = await wrapNativeAsync(() => this.#native.request());
    const answer = await this.#quietly(service, 'ca.enrol', { request }, ENROL_TIMEOUT_MS);
    await this.#accept(answer as Enrolled, false);
    this.#logger.info('the certificate was renewed', { event: 'certificate.renewed' });
  }

  async #renewHere(): Promise<void> {
    const request = await wrapNativeAsync(() => this.#native.request());
    await this.#accept(await wrapNativeAsync(() => this.#native.issueHere(request)), false);
  }

  async #accept({ certificate, bundle }: Enrolled, joined: boolean): Promise<void> {
    const { ca, crl } = bundle;
    await wrapNativeAsync(() => this.#native.accept(certificate, ca, crl, joined));
    // The first bundle has the root of the token alone.
    if (!joined) this.#version = bundle.version;
    this.#standing =
      (await wrapNativeAsync(() => this.#native.standing(Math.random()))) ?? undefined;
  }

  /** A warning at first; an error once only a third of the certificate's time is left. */
  #report({ message, reason }: MeshError): void {
    const scarce = this.#standing === undefined || Date.now() >= this.#standing.scarceAt;
    const text = `the certificate could not be renewed: ${message}; the next attempt follows`;
    this.#problem = text;
    this.#logger[scarce ? 'error' : 'warn'](text, { event: 'certificate.renewal', reason });
  }

  async #follow(): Promise<void> {
    const { service } = this.#native;
    for (let failures = 0; !this.#stopped.signal.aborted && service !== null;) {
      try {
        const version = this.#version;
        const bundle = await this.#quietly(service, 'ca.bundle', { version }, BUNDLE_TIMEOUT_MS);
        await this.#take(bundle as TrustBundle);
        failures = 0;
      } catch {
        // The renewal reports an authority that is away; lists that have ended are reported too.
        failures += 1;
        await this.#pause(pauseAfter(failures));
      }
    }
  }

  async #followHere(): Promise<void> {
    let seen: string | undefined;
    while (!this.#stopped.signal.aborted) {
      try {
        const { mtimeMs, size, ino } = statSync(join(this.#directory ?? '', 'authority.json'));
        const found = `${mtimeMs} ${size} ${ino} ${Math.floor(Date.now() / MAX_PAUSE_MS)}`;
        if (found !== seen)
          await this.#take(await wrapNativeAsync(() => this.#native.bundleHere()));
        seen = found;
      } catch (error) {
        this.#problem = MeshError.from(error).message;
      }
      await this.#pause(LOOK_MS);
    }
  }

  async #take({ ca, crl, version }: TrustBundle): Promise<void> {
    if (version === this.#version) return;
    await wrapNativeAsync(() => this.#native.trust(ca, crl));
    this.#version = version;
  }

  /** A call that keeps no process alive. */
  async #quietly(
    service: string,
    method: string,
    input: unknown,
    timeoutMs: number,
  ): Promise<unknown> {
    this.#asking += 1;
    try {
      const { signal } = this.#stopped;
      return await this.#ask(service, method, input, { timeoutMs, signal });
    } finally {
      this.#asking -= 1;
    }
  }

  #pause(ms: number): Promise<void> {
    if (this.#stopped.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = after(ms, () => {
        this.#timers.delete(timer);
        resolve();
      });
      timer.unref();
      this.#timers.add(timer);
    });
  }
}

/** Doubles from a second on, with jitter. */
function pauseAfter(failures: number): number {
  return Math.min(1000 * 2 ** (failures - 1), MAX_PAUSE_MS) * (0.5 + Math.random() / 2);
}
