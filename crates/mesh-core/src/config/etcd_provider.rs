section! {
    /// etcd v3 as the source of instances, for `discovery.provider: 'etcd'`. Instances are keys below
    /// `<prefix><service id>/`, each with a value such as `{"host":"10.0.0.7","port":50051}`. While etcd is away, the
    /// last instances stay.
    EtcdProvider as EtcdProviderConfig {
        /// `'etcd'`.
        kind: () = "provider" ("'etcd'"), required("'etcd'"), |at| at.choice(&[("etcd", ())]);
        /// The members of the cluster, 16 at most. When one fails, the next is tried.
        endpoints: Vec<ServerUrl> = "endpoints" ("string[]"), required("URLs, as in ['http://127.0.0.1:2379']"),
            |at| at.each_text(16, "an http:// or https:// URL with a port and without a path, as in 'http://127.0.0.1:2379'", endpoint);
        /// The authorities behind the certificates of the members, a PEM file. For `https://`.
        ca: Option<PathBuf> = "ca" ("string"), absent("those of the operating system"),
            |at| Ok(at.string()?.map(|path| Some(PathBuf::from(path))));
        /// The beginning of all keys.
        prefix: String = "prefix" ("string"), shown("/mesh/".to_owned(), "`'/mesh/'`"), |at| at.string();
        /// Whether this service registers itself, if it listens. The registration has a lease that is kept alive;
        /// `drain()` revokes it before anything else.
        register: bool = "register" ("boolean"), shown(false, "false"), |at| at.boolean();
        /// The time after which a service that crashed is no longer listed, 5 s to 1 h.
        ttl: Duration = "ttlMs" ("Duration"), seconds(15), |at| at.time(Duration::from_secs(5), HOUR);
        /// The user, if etcd requires one.
        user: Option<String> = "user" ("string"), absent("none"), |at| at.string().map(Some);
        /// The password of `user`.
        password: Option<Password> = "password" ("string") or "SECURE_MESH_ETCD_PASSWORD", absent("none"),
            |at| Ok(at.confidential()?.map(|(_, text)| Some(Password::new(text))));
    }
}
