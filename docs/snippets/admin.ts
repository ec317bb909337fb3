import { SecureMesh } from '@lemur-bookstores/secure-stack-mesh';

const pool = { query: async (text: string) => text };
