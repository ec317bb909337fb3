import assert from 'node:assert/strict';
import { StaticDiscovery } from '@lemur-bookstores/secure-stack-mesh';
