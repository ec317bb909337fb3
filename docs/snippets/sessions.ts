import assert from 'node:assert/strict';
import { SessionManager } from '@lemur-bookstores/secure-stack-mesh';
