section! {
    /// Where services are.
    Discovery as DiscoveryConfig {
        /// The services that can be called, with their addresses.
        services: Vec<Service> = "services" ("ServiceConfig[]"), shown(Vec::new(), "none"),
            |at| at.each(Instance::KEYS, Service::read).map(Some);
        /// A source of instances for the services that `services` has no address of: `'file'`, `'dns'`,
        /// `'etcd'`, `'consul'` or `'kubernetes'` with its options beside it, an object with a function `watch`, or a `StaticDiscovery`. It is asked at the
        /// first call of a service. Pins in `services` hold for what it reports.
        has_provider: bool = "provider" ("ProviderOption"), shown(false, "none"),
            |at| at.choice(&[("application", true)]);
        /// For how long the last list of a provider is used while its source is away, 1 s to 30 d. Then calls of
        /// the service get `UNAVAILABLE`, reason `DISCOVERY_STALE`, until the source answers again.
        max_stale: Option<Duration> = "maxStaleMs" ("Duration"), absent("no limit"),
            |at| Ok(at.time(Duration::from_secs(1), MONTH)?.map(Some));
    }
    elsewhere {
        /// Several providers, 8 at most: the first one that knows an instance of a service counts.
        "providers" ("readonly (ProviderOption | BuiltInProvider)[]");
        /// Where others reach this service, for providers that register it. Needed where it listens on all
        /// interfaces. Default: where it listens.
        "advertise" ("AdvertisedAddress");
    }
}
