// The server of 0.2.0.

import { invalidArgument } from '../base/arguments.js';
import { MeshError } from '../base/errors.js';
import { checkText } from '../base/values.js';
import { SecureMesh } from '../mesh/mesh.js';
import type { MeshAddress } from '../mesh/types.js';
import type { RateLimiterConfig } from '../resilience/rate-limiter.js';
import { MESSAGE_METHOD } from '../rpc/client.js';
import type { Handler } from '../rpc/handler-types.js';

/**
 * Answers the calls of a {@link SecureMeshClient}, as 0.2.0 had it. Unless it
 * is given a handler for them, messages are answered with `Echo: ` and their
 * text.
 *
 * @deprecated Use {@link SecureMesh.handle}.
 * @example
 * ```js
 * const server = new SecureMeshServer('orders');
 * await server.start(50051);
 * ```
 */
export class SecureMeshServer {
  readonly #serviceId: string;
  readonly #keysDir: string | undefined;
  readonly #rateLimit: RateLimiterConfig | undefined;
  readonly #handlers = new Map<string, Handler>();
  #mesh: SecureMesh | undefined;

  /**
   * @param serviceId the id of this service
   * @param keysDir the key directory; default as for `paths.keysDir`
   * @param rateLimitConfig the requests each caller may make; default: any number
   * @param _protoPath ignored: the protocol is built in
   * @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`
   */
  constructor(
    serviceId: string,
    keysDir?: string,
    rateLimitConfig?: RateLimiterConfig,
    _protoPath?: string,
  ) {
    checkText('serviceId', serviceId);
    if (keysDir !== undefined) checkText('keysDir', keysDir);
    this.#serviceId = serviceId;
    this.#keysDir = keysDir;
    this.#rateLimit = rateLimitConfig;
    this.#handlers.set(MESSAGE_METHOD, (text: unknown) => `Echo: ${String(text)}`);
  }

  /**
   * Answers calls of `method`; of `sendMessage`, instead of the echo.
   *
   * @throws MeshError `FAILED_PRECONDITION`, reason `ARGUMENT`: the server has been started
   */
  handle(method: string, handler: Handler): this {
    if (this.#mesh !== undefined) {
      throw new MeshError('FAILED_PRECONDITION', 'call handle() before start()', {
        reason: 'ARGUMENT',
      });
    }
    if (typeof handler !== 'function') throw invalidArgument('handler must be a function');
    this.#handlers.set(method, handler);
    return this;
  }

  /**
   * Begins to listen.
   *
   * @param port 1…65535, or 0 for any free one, which {@link address} tells
   * @throws MeshError (as a rejection) as {@link SecureMesh.initialize}, and for a wrong setting as the
   *   constructor of {@link SecureMesh}; `ALREADY_EXISTS`, reason `ARGUMENT`: it has been started
   */
  async start(port: number): Promise<void> {
    if (this.#mesh !== undefined) {
      throw new MeshError('ALREADY_EXISTS', 'the server has been started; stop it first', {
        reason: 'ARGUMENT',
      });
    }
    const mesh = new SecureMesh({
      serviceId: this.#serviceId,
      port,
      ...(this.#keysDir === undefined ? {} : { paths: { keysDir: this.#keysDir } }),
      ...(this.#rateLimit === undefined ? {} : { resilience: { rateLimit: this.#rateLimit } }),
    });
    for (const [method, handler] of this.#handlers) mesh.handle(method, handler);
    this.#mesh = mesh;
    try {
      await mesh.initialize();
    } catch (error) {
      this.#mesh = undefined;
      throw error;
    }
  }

  /** Where it listens; `null` while it does not. */
  address(): MeshAddress | null {
    return this.#mesh?.address() ?? null;
  }

  /** Stops at once. It can be started again. */
  stop(): void {
    this.close().catch(() => {
      // 0.2.0 told nothing here, and the mesh is gone either way.
    });
  }

  /** The same as {@link stop}, and resolves when it is done. */
  async close(): Promise<void> {
    const mesh = this.#mesh;
    this.#mesh = undefined;
    await mesh?.cleanup();
  }
}
