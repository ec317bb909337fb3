section! {
    /// TLS 1.3 on the admin port, which reads changed files again.
    AdminTlsOptions as AdminTlsConfig {
        /// The certificate, and the intermediates behind it: PEM, or the absolute path of a file.
        cert: Material = "cert" ("string"), required("PEM, or the absolute path of a file"),
            |at| Material::read(at, "admin.tls.cert");
        /// The private key of the certificate. Nobody but root and the user of the process may read its file.
        key: Material = "key" ("string"), required("PEM, or the absolute path of a file"),
            |at| Material::read(at, "admin.tls.key");
        /// The authorities of client certificates: PEM, or the absolute path of a file. A client certificate replaces
        /// the token, and a request without either is refused. `/livez` and `/readyz` need neither.
        client_ca: Option<Material> = "clientCa" ("string"), absent("no client certificates"),
            |at| Material::read(at, "admin.tls.clientCa").map(Some);
    }
}
