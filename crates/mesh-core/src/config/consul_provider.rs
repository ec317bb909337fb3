section! {
    /// Consul as the source of instances, for `discovery.provider: 'consul'`: the instances of the Consul service with
    /// the service's id whose checks pass, followed by blocking queries. While Consul is away, the last instances stay.
    ConsulProvider as ConsulProviderConfig {
        /// `'consul'`.
        kind: () = "provider" ("'consul'"), required("'consul'"), |at| at.choice(&[("consul", ())]);
        /// The HTTP address of a Consul agent.
        address: ServerUrl = "address" ("string"), shown(ServerUrl { tls: false, host: "127.0.0.1".to_owned(), port: 8500 }, "`'http://127.0.0.1:8500'`"),
            |at| at.server();
        /// The ACL token.
        token: Option<Password> = "token" ("string") or "SECURE_MESH_CONSUL_TOKEN", absent("none"),
            |at| Ok(at.confidential()?.map(|(_, text)| Some(Password::new(text))));
        /// The datacenter that is asked.
        datacenter: Option<String> = "datacenter" ("string"), absent("that of the agent"),
            |at| at.string().map(Some);
        /// The namespace (Consul Enterprise).
        namespace: Option<String> = "namespace" ("string"), absent("that of the token"), |at| at.string().map(Some);
        /// Only instances with this tag count.
        tag: Option<String> = "tag" ("string"), absent("any"), |at| at.string().map(Some);
        /// The authorities behind the agent's certificate, a PEM file. For `https://`.
        ca: Option<PathBuf> = "ca" ("string"), absent("those of the operating system"),
            |at| Ok(at.string()?.map(|path| Some(PathBuf::from(path))));
        /// Whether this service registers itself with the agent, if it listens: with a check that it keeps passing,
        /// and deregistered first thing in `drain()`.
        register: bool = "register" ("boolean"), shown(false, "false"), |at| at.boolean();
        /// The time after which a service that crashed is no longer listed, 5 s to 1 h.
        ttl: Duration = "ttlMs" ("Duration"), seconds(15), |at| at.time(Duration::from_secs(5), HOUR);
    }
}
