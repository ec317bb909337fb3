section! {
    /// TLS 1.3 on the admin port. Files are read again when they change.
    AdminTlsOptions as AdminTlsConfig {
        /// The certificate, and the intermediates behind it: PEM, or the absolute path of a file.
        cert: Material = "cert" ("string"), required("PEM, or the absolute path of a file"),
            |at| Material::read(at, "admin.tls.cert");
        /// The private key of the certificate.
        key: Material = "key" ("string"), required("PEM, or the absolute path of a file"),
            |at| Material::read(at, "admin.tls.key");
        /// The authorities of client certificates. A client certificate then stands in for the token, and what needs a
        /// token needs one of the two; `/livez` and `/readyz` need neither.
        client_ca: Option<Material> = "clientCa" ("string"), absent("no client certificates"),
            |at| Material::read(at, "admin.tls.clientCa").map(Some);
    }
}
