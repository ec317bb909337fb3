import type {
  Context,
  RouteLike,
  RouterLike,
  SecureMesh,
} from '@lemur-bookstores/secure-stack-mesh';
import { createTestMesh } from '@lemur-bookstores/secure-stack-mesh/testing';
import { z } from 'zod';

// The part of the core's router that is mounted here.
const routes = new Map<string, RouteLike>();
const router = () => ({
  query<T>(
    name: string,
    config: { input: z.ZodType<T>; handler(call: { input: T; ctx: Context }): unknown },
  ): RouterLike {
    routes.set(name, { type: 'query', config });
    return { getRoutes: () => routes };
  },
});
const find = (id: number, caller: string) => ({ id, caller });
let mesh!: SecureMesh;
const kit = await createTestMesh({ services: { shop: (own) => void (mesh = own) } });
const client = kit.connect('shop', { as: 'gateway' });
