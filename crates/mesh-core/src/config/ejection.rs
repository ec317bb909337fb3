section! {
    /// The conditions under which an instance is ejected, that is, gets no calls for a time. At most half of the
    /// instances of a service are ejected at once.
    Ejection as EjectionConfig {
        /// Failed calls in a row that eject an instance, 1…1,000.
        consecutive_failures: u32 = "consecutiveFailures" ("number"), count(5), |at| at.integer(1, 1000);
        /// The difference, 0 to 1, by which the failure rate of an instance must exceed that of the other
        /// instances together.
        failure_gap: f64 = "failureGap" ("number"), shown(0.1, "0.1"), |at| at.number(0.0, 1.0);
        /// The window in which failure rates are compared, 100 ms to 1 h.
        window: Duration = "windowMs" ("Duration"), seconds(10), |at| at.time(Duration::from_millis(100), HOUR);
        /// The calls that the instance, and the others together, must each have had in the window before
        /// rates are compared, 1…1,000,000.
        min_calls: u32 = "minCalls" ("number"), count(20), |at| at.integer(1, 1_000_000);
        /// The duration of the first ejection, 1 ms to 1 h. Each further one is twice as long as the
        /// one before it.
        base_time: Duration = "baseMs" ("Duration"), seconds(30), |at| at.time(Duration::from_millis(1), HOUR);
        /// The longest ejection, 1 ms to 1 day.
        max_time: Duration = "maxMs" ("Duration"), seconds(300), |at| at.time(Duration::from_millis(1), DAY);
        /// The share of usable instances, 0 to 1, below which ejections are disregarded.
        panic_threshold: f64 = "panicThreshold" ("number"), shown(0.5, "0.5"), |at| at.number(0.0, 1.0);
    }
}
