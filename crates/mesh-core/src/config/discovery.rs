section! {
    /// Where services are.
    Discovery as DiscoveryConfig {
        /// The services that can be called, with their addresses.
        services: Vec<Service> = "services" ("ServiceConfig[]"), shown(Vec::new(), "none"),
            |at| at.each(Instance::KEYS, Service::read).map(Some);
    }
}
