section! {
    /// The most calls that this service has under way at each of the services that it calls, for
    /// `resilience.bulkhead`: a slow service cannot take up the memory and the patience that the calls of others
    /// need. Calls beyond wait in a queue, critical ones first and sheddable ones last. When the queue is full, a
    /// sheddable call gives way to another one; else the newest gets `RESOURCE_EXHAUSTED`, reason `CALL_LIMIT`.
    Bulkhead as BulkheadConfig {
        /// The most calls under way at one service, 1…1,000,000.
        max_calls: u32 = "maxCalls" ("number"), required("1…1,000,000"), |at| at.integer(1, 1_000_000);
        /// The most calls of one service that wait, 0…1,000,000.
        max_queue: u32 = "maxQueue" ("number"), count(1000), |at| at.integer(0, 1_000_000);
    }
}
