section! {
    /// The distribution of the calls of a service over its instances.
    Balancing as BalancingConfig {
        /// The choice of an instance. `'p2c'` draws two instances by their weights and takes the one with the
        /// lower latency × (calls in flight + 1); failures raise that cost. `'round-robin'` takes the instances
        /// in turn, `'random'` draws one; both observe weights as well.
        policy: Selection = "policy" ("'p2c' | 'round-robin' | 'random'"), shown(Selection::P2c, "`'p2c'`"),
            |at| at.choice(Selection::NAMES);
        /// The zone of this service. Instances of the same `zone` are preferred. Calls spill over to other zones
        /// when the instances of this zone are unavailable, or take more than twice as long.
        zone: Option<String> = "zone" ("string"), absent("none: all instances are alike"),
            |at| at.string().map(Some);
        /// The time in which a new instance, or one that was ejected, grows from a tenth of its share of the calls
        /// to the whole, 0 to 1 h.
        slow_start: Duration = "slowStartMs" ("Duration"), seconds(10), |at| at.time(Duration::ZERO, HOUR);
        /// The conditions under which an instance that fails more than the others is left out;
        /// `false` for never.
        ejection: Option<Ejection> = "ejection" ("EjectionConfig | false"), shown(None, "with the defaults below"),
            |at| Ejection::or_never(at).map(Some);
        /// The place of this process among the callers, where a service has more instances than `subset`.
        caller: Option<CallerPlace> = "caller" ("CallerConfig"), absent("a place by chance"),
            |at| CallerPlace::read_at(at).map(Some);
        /// The most instances of one service that this service connects to, 1…1,000. Each client draws its own
        /// subset; the other instances are used when none of the subset can be.
        subset: u32 = "subset" ("number"), count(32), |at| at.integer(1, 1000);
    }
}
