import { SessionManager } from '@lemur-bookstores/secure-stack-mesh';
