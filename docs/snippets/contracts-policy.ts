import { defineContract, safe, SecureMesh, unary } from '@lemur-bookstores/secure-stack-mesh';
import { createTestMesh } from '@lemur-bookstores/secure-stack-mesh/testing';

const orders = defineContract('orders', { create: unary(), list: unary() });
class Orders {
  constructor(private readonly database: string[]) {}
  create(input: any): number {
    return this.database.push(input);
  }
  list(): string[] {
    return this.database;
  }
}
const database: string[] = [];
let service!: SecureMesh;
const kit = await createTestMesh({ services: { orders: (mesh) => void (service = mesh) } });
