section! {
    /// An adaptive limit on the requests that this service has under way, for `resilience.concurrency`. It follows
    /// the gradient of latency: it grows while requests take no longer than without load, and shrinks as they take
    /// longer. Requests beyond it are refused at once, with `RESOURCE_EXHAUSTED`, reason `SHED`, and their callers
    /// ask another instance. Sheddable requests leave a fifth of it to the others; critical ones have a quarter more.
    Concurrency as ConcurrencyConfig {
        /// The least that the limit becomes, 1…1,000,000.
        min: u32 = "min" ("number"), count(4), |at| at.integer(1, 1_000_000);
        /// The limit at the start.
        initial: Option<u32> = "initial" ("number"), absent("20, or the nearest to it between `min` and `max`"),
            |at| Ok(at.integer(1, 1_000_000)?.map(Some));
        /// The most that the limit becomes.
        max: u32 = "max" ("number"), count(1000), |at| at.integer(1, 1_000_000);
    }
}
