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
 * Answers the calls of a {@link SecureMeshClient}, as in 0.2.0. Without a handler for `sendMessage`, the
 * answer to a message is `Echo: ` and the message.
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
   * @param rateLimitConfig the quota of each caller; default: none
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
   * Answers calls of `method`. A handler for `sendMessage` replaces the echo.
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
   * @param port 1…65535, or 0 for any free port, which {@link address} returns
   * @throws MeshError (as a rejection) as {@link SecureMesh.initialize}, and for an invalid setting as the
   *   constructor of {@link SecureMesh}; `ALREADY_EXISTS`, reason `ARGUMENT`: the server has been started
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

  /** The address on which the server listens; `null` while it does not. */
  address(): MeshAddress | null {
    return this.#mesh?.address() ?? null;
  }

  /** Stops immediately. The server can be started again. */
  stop(): void {
    this.close().catch(() => {
      // 0.2.0 reported no error here, and the mesh is closed in either case.
    });
  }

  /** Stops like {@link stop}, and resolves when the server has stopped. */
  async close(): Promise<void> {
    const mesh = this.#mesh;
    this.#mesh = undefined;
    await mesh?.cleanup();
  }
}
