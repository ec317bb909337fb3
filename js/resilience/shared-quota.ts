// The quota that several processes have together, as it is configured.

/** A quota in Redis, for `resilience.rateLimit`. */
export interface SharedQuotaConfig {
  /**
   * The URL of a Redis server (6 or later) that keeps the quotas of all processes of this service: `redis://` or `rediss://`, with user and
   * password if need be. Processes take leases from it in batches of a fortieth of the quota, beside the calls:
   * no request waits for it. Default: each process has quotas of its own.
   */
  shared?: string | undefined;
  /**
   * What becomes of requests while Redis does not answer. `'local'`: each process lets in `maxRequests` by
   * itself. `'deny'`: none is let in. Default: `'local'`.
   */
  onUnavailable?: 'local' | 'deny' | undefined;
}
