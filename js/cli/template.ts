// The project that `init` writes: two services, their contract, a test.

/** The versions of the tools in a new project. */
const VERSIONS = { typescript: '^5.9.3', '@types/node': '^20.19.0', zod: '^4.2.0' };

const NAME = '@lemur-bookstores/secure-stack-mesh';

/** The dependency on the package itself: a version, or the tarballs of an unpublished version. */
export type Own = Readonly<Record<string, string>>;

/**
 * The files of a new project by their paths.
 *
 * @param name the name of the project
 * @param own the package and its version, or their tarballs
 */
export function projectFiles(name: string, own: Own): Record<string, string> {
  const manifest = {
    name,
    version: '0.1.0',
    private: true,
    type: 'module',
    engines: { node: '>=20.19' },
    scripts: {
      build: 'tsc',
      test: 'tsc && node --test dist/orders.test.js',
      'start:orders': 'tsc && node dist/orders-main.js',
      'start:gateway': 'tsc && node dist/gateway-main.js',
      doctor: 'secure-stack-mesh doctor --config mesh.json',
    },
    dependencies: { ...own, zod: VERSIONS.zod },
    devDependencies: {
      '@types/node': VERSIONS['@types/node'],
      typescript: VERSIONS.typescript,
    },
  };
  return {
    'package.json': `${JSON.stringify(manifest, null, 2)}\n`,
    'tsconfig.json': TSCONFIG,
    'mesh.json': MESH,
    '.gitignore': 'node_modules/\ndist/\n.env\n',
    'README.md': readme(name),
    'src/contract.ts': CONTRACT,
    'src/orders.ts': ORDERS,
    'src/orders-main.ts': main('orders', 50051),
    'src/gateway.ts': GATEWAY,
    'src/gateway-main.ts': main('gateway', 50052),
    'src/orders.test.ts': TEST,
  };
}

const TSCONFIG = `{
  "compilerOptions": {
    "target": "ES2022",
    "module": "NodeNext",
    "moduleResolution": "NodeNext",
    "types": ["node"],
    "rootDir": "src",
    "outDir": "dist",
    "strict": true,
    "noUncheckedIndexedAccess": true,
    "exactOptionalPropertyTypes": true,
    "noImplicitOverride": true,
    "noUnusedLocals": true,
    "noUnusedParameters": true,
    "verbatimModuleSyntax": true,
    "resolveJsonModule": true,
    "sourceMap": true
  },
  "include": ["src"]
}
`;

const MESH = `{
  "discovery": {
    "services": [
      { "id": "orders", "host": "127.0.0.1", "port": 50051 },
      { "id": "gateway", "host": "127.0.0.1", "port": 50052 }
    ]
  }
}
`;

const CONTRACT = `// The methods of both services, for both sides. A contract holds no code of a service.
import { defineContract, serverStream, unary } from '${NAME}';
import { z } from 'zod';

const Order = z.object({ id: z.string(), sku: z.string(), quantity: z.number().int() });

export type Order = z.infer<typeof Order>;

export const orders = defineContract('orders', {
  create: unary({
    input: z.object({ sku: z.string().min(1), quantity: z.number().int().min(1).max(100) }),
    output: Order,
    errors: {
      OUT_OF_STOCK: { code: 'FAILED_PRECONDITION', data: z.object({ left: z.number().int() }) },
    },
  }),
  list: serverStream({ input: z.object({ sku: z.string().optional() }), output: Order }),
});

export const gateway = defineContract('gateway', {
  checkout: unary({
    input: z.object({ skus: z.array(z.string()).max(10) }),
    output: z.object({ orders: z.array(Order) }),
  }),
});
`;

const ORDERS = `// The service of orders.
import type { SecureMesh } from '${NAME}';
import { orders, type Order } from './contract.js';

/** Gives a mesh the handlers of the service. */
export function serveOrders(mesh: SecureMesh): void {
  const kept: Order[] = [];
  const stock = new Map<string, number>([['book', 3], ['pen', 100]]);
  mesh.implement(orders, {
    create({ sku, quantity }, ctx) {
      const left = stock.get(sku) ?? 0;
      if (left < quantity) throw ctx.errors.OUT_OF_STOCK({ left });
      stock.set(sku, left - quantity);
      const order: Order = { id: String(kept.length + 1), sku, quantity };
      kept.push(order);
      return order;
    },
    async *list({ sku }) {
      for (const order of kept) {
        if (sku === undefined || order.sku === sku) yield order;
      }
    },
  });
}
`;

const GATEWAY = `// The service at the front, which calls the other one.
import type { SecureMesh } from '${NAME}';
import { gateway, orders, type Order } from './contract.js';

/** Gives a mesh the handlers of the service. */
export function serveGateway(mesh: SecureMesh): void {
  mesh.implement(gateway, {
    async checkout({ skus }, ctx) {
      // The call inherits the deadline and the trace of this request.
      const client = ctx.connect(orders);
      const created: Order[] = [];
      for (const sku of skus) created.push(await client.create({ sku, quantity: 1 }));
      return { orders: created };
    },
  });
}
`;

function main(service: 'orders' | 'gateway', port: number): string {
  const serve = service === 'orders' ? 'serveOrders' : 'serveGateway';
  return `// The process of the service ${service}.
import { readFileSync } from 'node:fs';
import { SecureMesh, type MeshConfig } from '${NAME}';
import { ${serve} } from './${service}.js';

const shared = JSON.parse(readFileSync('mesh.json', 'utf8')) as Partial<MeshConfig>;
const port = Number(process.env['PORT'] ?? ${port});
const mesh = new SecureMesh({ ...shared, serviceId: '${service}', port });
${serve}(mesh);
await mesh.initialize();
console.log('${service} listens on port', mesh.address()?.port);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void mesh.drain({ timeoutMs: 5_000 }));
}
`;
}

const TEST = `// The services with real handshakes and real records, without sockets.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { safe } from '${NAME}';
import { createTestMesh } from '${NAME}/testing';
import { gateway, orders } from './contract.js';
import { serveGateway } from './gateway.js';
import { serveOrders } from './orders.js';

test('an order is created through the gateway, and is listed', async () => {
  const kit = await createTestMesh({ services: { orders: serveOrders, gateway: serveGateway } });
  try {
    const { orders: created } = await kit.connect(gateway).checkout({ skus: ['book', 'pen'] });
    assert.deepEqual(created.map(({ sku }) => sku), ['book', 'pen']);
    const listed = [];
    for await (const order of kit.connect(orders).list({ sku: 'pen' })) listed.push(order);
    assert.equal(listed.length, 1);
  } finally {
    await kit.cleanup();
  }
});

test('a caller learns what is left', async () => {
  const kit = await createTestMesh({ services: { orders: serveOrders } });
  try {
    const result = await safe(kit.connect(orders).create({ sku: 'book', quantity: 4 }));
    assert.ok(!result.ok && result.declared);
    assert.deepEqual(result.error.data, { left: 3 });
  } finally {
    await kit.cleanup();
  }
});
`;

function readme(name: string): string {
  return `# ${name}

Two services that call each other over an encrypted, mutually authenticated mesh.

| command | effect |
|---|---|
| \`npm test\` | compiles, and runs the tests: real handshakes, no sockets |
| \`npm run start:orders\` | runs the service of orders on port 50051 |
| \`npm run start:gateway\` | runs the gateway on port 50052 |
| \`npm run doctor\` | checks this machine, and the two services while they run |

While both run:

    npx secure-stack-mesh --config mesh.json describe orders
    npx secure-stack-mesh --config mesh.json call gateway gateway.checkout '{"skus":["book"]}'
    npx secure-stack-mesh --config mesh.json call orders orders.list '{}'

\`src/contract.ts\` has the methods and their schemas. \`mesh.json\` has the addresses. On one machine the services of
one user trust each other without configuration. For several machines give all of them one secret
(\`npx secure-stack-mesh secret new\`) in the variable \`SECURE_MESH_JWT_SECRET\`, or certificates.
`;
}
