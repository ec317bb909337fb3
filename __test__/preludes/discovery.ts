import { StaticDiscovery } from '@lemur-bookstores/secure-stack-mesh';
