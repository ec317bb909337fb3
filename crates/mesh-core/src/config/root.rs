section! {
    /// The options that the core reads: a service's name, where it listens, and the sections
    /// about trust, discovery and limits.
    Root as CoreConfig {
        /// The service's name: letters, digits, `.`, `_`, `-`; 128 characters at most.
        service_id: ServiceId = "serviceId" ("string"), required("a service id"), |at| at.service_id();
        /// The port to listen on; 0 lets the system choose one.
        port: Option<u16> = "port" ("number") or "SECURE_MESH_PORT",
            absent("nothing is listened on: the mesh only calls"), |at| at.port(0).map(Some);
        /// The address to listen on.
        host: Option<String> = "host" ("string") or "SECURE_MESH_HOST",
            absent("loopback without security options, all interfaces with a secret or a pinned key"),
            |at| at.host().map(Some);
        /// Whether several processes may listen on the port, such as the workers of `node:cluster`: the system
        /// spreads connections over them (`SO_REUSEPORT`; on Linux, not on Windows). Each of them sets it, and they
        /// share one key directory.
        reuse_port: bool = "reusePort" ("boolean"), shown(false, "false"), |at| at.boolean();
    }
    elsewhere {
        /// Keys, tokens, sessions.
        "security" ("SecurityConfig");
        /// The services that can be called.
        "discovery" ("DiscoveryOptions");
        /// Rules that permit services to call methods of this one.
        "authorization" ("AuthorizationConfig");
        /// How calls are spread over the instances of a service.
        "balancing" ("BalancingConfig");
        /// The admin port.
        "admin" ("AdminConfig");
        /// Spans of calls, requests and handshakes.
        "tracing" ("TracingConfig");
        /// Bounds on what the mesh holds and accepts.
        "limits" ("MeshLimits");
        /// Directories.
        "paths" ("PathsConfig");
        "logger";
        "observe";
        "resilience";
        "monitoring";
        "rotation";
    }
}
