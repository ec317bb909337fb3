section! {
    /// The place of this process among the processes of its service, for `balancing.caller`: for example the number
    /// of a pod of a `StatefulSet`, and its replicas. With it, the callers of a service with more instances than
    /// `balancing.subset` spread over them evenly: each instance has the same number of callers, or one more.
    CallerPlace as CallerConfig {
        /// The number of this process, from 0.
        index: u32 = "index" ("number"), required("a whole number from 0"), |at| at.integer(0, 1_000_000);
        /// How many processes there are, 1…1,000,000.
        of: u32 = "of" ("number"), required("1…1,000,000"), |at| at.integer(1, 1_000_000);
    }
}
