section! {
    /// The options that the core reads: the name of the service, its address, and the
    /// sections about trust, discovery and limits.
    Root as CoreConfig {
        /// The service's name: letters, digits, `.`, `_`, `-`; 128 characters at most.
        service_id: ServiceId = "serviceId" ("string"), required("a service id"), |at| at.service_id();
        /// The port to listen on; 0 lets the system choose one.
        port: Option<u16> = "port" ("number") or "SECURE_MESH_PORT",
            absent("none: the mesh only calls and does not listen"), |at| at.port(0).map(Some);
        /// The address to listen on.
        host: Option<String> = "host" ("string") or "SECURE_MESH_HOST",
            absent("loopback without security options, all interfaces with a secret or a pinned key"),
            |at| at.host().map(Some);
        /// Whether several processes may listen on the port, such as the workers of `node:cluster`. The system
        /// spreads connections over them (`SO_REUSEPORT`; on Linux, not on Windows). Each process sets the option,
        /// and all share one key directory.
        reuse_port: bool = "reusePort" ("boolean"), shown(false, "false"), |at| at.boolean();
    }
    elsewhere {
        /// Keys, tokens and sessions.
        "security" ("SecurityConfig");
        /// The services that can be called.
        "discovery" ("DiscoveryOptions");
        /// Rules that permit services to call methods of this one.
        "authorization" ("AuthorizationConfig");
        /// The distribution of calls over the instances of a service.
        "balancing" ("BalancingConfig");
        /// The admin port.
        "admin" ("AdminConfig");
        /// Limits on everything that the mesh holds and accepts.
        "limits" ("MeshLimits");
        /// Directories.
        "paths" ("PathsConfig");
        "logger";
        "observe";
        "resilience";
        "monitoring";
        "rotation";
        "tracing";
    }
}
