import assert from 'node:assert/strict';
import { MeshError, SecureMesh } from '@lemur-bookstores/secure-stack-mesh';

interface Order {
  id: string;
  title: string;
}

const orders = new Map<string, Order>([['1', { id: '1', title: 'The Dispossessed' }]]);
const mesh = new SecureMesh({ serviceId: 'other-service', port: 0 });
