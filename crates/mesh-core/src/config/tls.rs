section! {
    /// Certificates for TLS beneath a mesh whose trust is a secret or pinned keys. All services of
    /// the mesh need them, because a service with TLS refuses connections without it. Files are
    /// watched.
    TlsOptions as TlsConfig {
        /// The certificate, and the intermediates behind it. It names the service as
        /// `security.certificate` says, or by a DNS name that equals the `serviceId`.
        cert: Option<Material> = "cert" ("string"), absent(""),
            |at| Material::read(at, "security.tls.cert").map(Some);
        /// The private key of the certificate.
        key: Option<Material> = "key" ("string"), absent(""),
            |at| Material::read(at, "security.tls.key").map(Some);
        /// The trust anchors for the certificates of the other services.
        ca: Option<Material> = "ca" ("string"), absent(""),
            |at| Material::read(at, "security.tls.ca").map(Some);
    }
}
