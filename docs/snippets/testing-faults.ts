import assert from 'node:assert/strict';
import { createTestMesh } from '@lemur-bookstores/secure-stack-mesh/testing';

const kit = await createTestMesh({ services: { stock: { 'stock.left': () => 3 } } });
