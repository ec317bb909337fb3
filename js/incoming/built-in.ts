// Parts of the package that a mesh serves under reserved names once it has mounted them.

import type { Addon } from '../base/native.js';
import type { SafeLogger } from '../base/logger.js';
import type { Context } from '../rpc/context.js';
import type { RouteLike, RouterLike } from './mount.js';
import type { Route } from './route.js';

/** The mesh that serves a {@link BuiltIn}. */
export interface BuiltInHost {
  readonly native: InstanceType<Addon['NativeMesh']>;
  readonly logger: SafeLogger;
}

/** A router for `mesh.mount` whose methods have reserved names. */
export abstract class BuiltIn implements RouterLike {
  /** The methods. @internal */
  abstract readonly routes: readonly Route[];

  /** The procedures by their names, as those of other routers. */
  getRoutes(): ReadonlyMap<string, RouteLike> {
    return new Map(
      this.routes.map(({ method, handler }) => {
        const run = ({ input, ctx }: { input: unknown; ctx: Context }): unknown =>
          handler(input, ctx);
        return [method, { type: 'mutation', config: { handler: run } }];
      }),
    );
  }

  /** Begins its work: the mesh has started. @internal */
  abstract start(host: BuiltInHost): Promise<void>;

  /** Ends its work. @internal */
  abstract stop(): void;
}
