// The transport for NestJS: `@lemur-bookstores/secure-stack-mesh/nestjs`.

export { MeshClient, MeshRecord, type MeshClientOptions } from './client.js';
export { MeshHttpFilter, MeshRpcFilter } from './filters.js';
export { MeshStrategy } from './strategy.js';
