section! {
    /// Where services are.
    Discovery as DiscoveryConfig {
        /// The services that can be called, with their addresses. The variable has them as
        /// `stock=stock:50052,orders=10.0.0.7:50051`, an IPv6 address in brackets.
        services: Vec<Service> = "services" ("ServiceConfig[]") or "SECURE_MESH_SERVICES",
            shown(Vec::new(), "none"), |at| Service::read_all(at);
        /// A source of instances for the services that `services` has no address of: `'file'`, `'dns'` or `'etcd'`
        /// with its options beside it, an object with a function `watch`, or a `StaticDiscovery`. It is asked at the
        /// first call of a service. Pins in `services` hold for what it reports.
        has_provider: bool = "provider" ("ProviderOption"), shown(false, "none"),
            |at| at.choice(&[("application", true)]);
    }
    elsewhere {
        /// Several providers, 8 at most: the first one that knows an instance of a service counts.
        "providers" ("readonly (ProviderOption | BuiltInProvider)[]");
        /// Where others reach this service, for providers that register it. Needed where it listens on all
        /// interfaces. Default: where it listens.
        "advertise" ("AdvertisedAddress");
    }
}
