section! {
    /// Spans of calls, requests and handshakes. Without `otlp` they are those of `@opentelemetry/api`, if the
    /// application has it and registers an SDK. With `otlp` the mesh makes, samples and exports them itself.
    TracingOptions as TracingConfig {
        /// The collector that gets the spans by OTLP/HTTP (protobuf), for programs without an SDK of OpenTelemetry:
        /// an `http://` or `https://` URL. `/v1/traces` is added unless the path ends with it.
        otlp: Option<Collector> = "otlp" ("string") or "SECURE_MESH_OTLP", absent("no export by the mesh"),
            |at| Collector::read(at).map(Some);
        /// The share of new traces that are exported by `otlp`, from 0 to 1. A call that continues a trace follows
        /// the decision of that trace.
        sample: f64 = "sample" ("number"), shown(1.0, "1"), |at| at.number(0.0, 1.0);
        /// Headers of the requests to `otlp`, such as a token: at most 16. Never shown.
        headers: Vec<Header> = "headers" ("Record<string, string>"), shown(Vec::new(), "none"),
            |at| Header::read(at);
        /// The trust anchors for an `https://` collector. A file is read at each connection.
        ca: Option<Material> = "ca" ("string"), absent("those of the system"),
            |at| Material::read(at, "tracing.ca").map(Some);
    }
    elsewhere {
        /// Whether the mesh makes spans. `true` without `otlp` needs `@opentelemetry/api`. Default: true with `otlp`
        /// or if that package is installed.
        "enabled" ("boolean");
    }
}
