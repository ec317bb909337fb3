section! {
    /// DNS as the source of instances, for `discovery.provider: 'dns'`. Records are resolved again when their time to
    /// live is over, at the earliest after a second. While no server answers, the last instances stay.
    DnsProvider as DnsProviderConfig {
        /// `'dns'`.
        kind: () = "provider" ("'dns'"), required("'dns'"), |at| at.choice(&[("dns", ())]);
        /// The domain of the services: `'shop.example'` stands for `<service id>.shop.example`. A value
        /// with `{service}` is the whole name, as in `'_grpc._tcp.{service}.prod.svc.cluster.local'`.
        domain: String = "domain" ("string"), required("a domain name, as in 'prod.svc.cluster.local'"),
            |at| at.domain();
        /// The type of the records. `'srv'`: service records (RFC 2782), with ports and weights; those of the
        /// lowest priority number count. `'a'`: addresses of both families, with `port`.
        records: Records = "records" ("'srv' | 'a'"), shown(Records::Srv, "`'srv'`"),
            |at| at.choice(&[("srv", Records::Srv), ("a", Records::A)]);
        /// The port of all instances, 1…65535. Required with `records: 'a'`.
        port: Option<u16> = "port" ("number"), absent("none"), |at| at.port(1).map(Some);
        /// The DNS server as `address` or `address:port`.
        server: Option<SocketAddr> = "server" ("string"), absent("the servers of the operating system"),
            |at| at.socket(53).map(Some);
    }
}
