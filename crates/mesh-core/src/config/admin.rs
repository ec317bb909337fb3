section! {
    /// The admin port: health, metrics and the state of the mesh over HTTP, for people, probes and Prometheus.
    /// It is off without `port`.
    AdminOptions as AdminConfig {
        /// The port to listen on; 0 lets the system choose one.
        port: Option<u16> = "port" ("number") or "SECURE_MESH_ADMIN_PORT", absent("no admin port"),
            |at| at.port(0).map(Some);
        /// The address to listen on. An address other than loopback requires a `token`, or client certificates
        /// (`tls.clientCa`).
        host: String = "host" ("string"), shown("127.0.0.1".to_owned(), "`'127.0.0.1'`"), |at| at.host();
        /// The token that requests must show, 16 to 256 printable characters, as `Authorization: Bearer …`, or
        /// once in the sign-in of the page. `/livez` and `/readyz` need none.
        token: Option<AdminToken> = "token" ("string") or "SECURE_MESH_ADMIN_TOKEN",
            absent("none: everybody on this machine may read"), |at| AdminToken::read(at).map(Some);
        /// Names by which browsers reach the port beside `localhost`, at most 32. A request with another
        /// `Host` is refused unless it shows the token.
        hosts: Vec<String> = "hosts" ("string[]"), shown(Vec::new(), "none"),
            |at| at.each_text(32, "a host name or an IP address without a port", AdminToken::host);
        /// The directory in which the history of seven days, also survives a restart.
        history: Option<PathBuf> = "history" ("string"), absent("an hour in memory"),
            |at| at.absolute_path().map(Some);
    }
    elsewhere {
        /// TLS on the port. Without it the port speaks plain HTTP.
        "tls" ("AdminTlsConfig");
    }
}
