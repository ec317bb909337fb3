section! {
    /// The services, their addresses, and the sources that report them.
    Discovery as DiscoveryConfig {
        /// The services that can be called, with their addresses. The variable has them as
        /// `stock=stock:50052,orders=10.0.0.7:50051`, an IPv6 address in brackets.
        services: Vec<Service> = "services" ("ServiceConfig[]") or "SECURE_MESH_SERVICES",
            shown(Vec::new(), "none"), |at| Service::read_all(at);
        /// A source of instances for the services whose address is not in `services`: `'file'`, `'dns'`,
        /// `'etcd'`, `'consul'` or `'kubernetes'` with its options beside it, an object with a function `watch`, or
        /// a `StaticDiscovery`. The mesh watches a
        /// service from the first call to it. Pins in `services` apply to the reported instances too.
        has_provider: bool = "provider" ("ProviderOption"), shown(false, "none"),
            |at| at.choice(&[("application", true)]);
        /// For how long the last list of a provider is used while its source is away, 1 s to 30 d. Then calls of
        /// the service get `UNAVAILABLE`, reason `DISCOVERY_STALE`, until the source answers again.
        max_stale: Option<Duration> = "maxStaleMs" ("Duration"), absent("no limit"),
            |at| Ok(at.time(Duration::from_secs(1), MONTH)?.map(Some));
    }
    elsewhere {
        /// Several providers, 8 at most. For each service the first provider that knows an instance
        /// counts.
        "providers" ("readonly (ProviderOption | BuiltInProvider)[]");
        /// The address by which others reach this service, for providers that register it. Required if it
        /// listens on all interfaces. Default: the address on which it listens.
        "advertise" ("AdvertisedAddress");
    }
}
