import assert from 'node:assert/strict';
import { JWTManager } from '@lemur-bookstores/secure-stack-mesh';

const serviceId = 'my-service';
const sessionId = 'session-1';
