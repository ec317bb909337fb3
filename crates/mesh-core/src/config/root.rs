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
    }
    elsewhere {
        /// Keys, tokens, sessions.
        "security" ("SecurityConfig");
        /// The services that can be called.
        "discovery" ("DiscoveryConfig");
        /// Rules that permit services to call methods of this one.
        "authorization" ("AuthorizationConfig");
        /// The admin port.
        "admin" ("AdminConfig");
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
