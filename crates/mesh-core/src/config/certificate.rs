section! {
    /// The certificate of this service, and the authorities that it trusts. With it, certificates are
    /// the only trust: neither a secret nor pinned keys count. Each option is the absolute path of a
    /// file or PEM. Files are watched: the mesh uses a new content a moment after the change, and keeps
    /// the previous one while the new one is invalid.
    CertificateOptions as CertificateConfig {
        /// The certificate, and the intermediates behind it.
        cert: Option<Material> = "cert" ("string") or "SECURE_MESH_CERT", absent(""),
            |at| Material::read(at, "security.certificate.cert").map(Some);
        /// The private key of the certificate: ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to
        /// 4096 bits, not encrypted. The guide to containers lists the files that are accepted.
        key: Option<Material> = "key" ("string") or "SECURE_MESH_KEY", absent(""),
            |at| Material::read(at, "security.certificate.key").map(Some);
        /// The trust anchors: the certificates of authorities. During a rotation, the
        /// previous and the next ones together.
        ca: Option<Material> = "ca" ("string") or "SECURE_MESH_CA", absent(""),
            |at| Material::read(at, "security.certificate.ca").map(Some);
        /// Revocation lists of these authorities and of their intermediates.
        crl: Option<Material> = "crl" ("string"), absent("none: revocation is not checked"),
            |at| Material::read(at, "security.certificate.crl").map(Some);
        /// The treatment of a certificate whose issuer has no list, or an expired one: `'refuse'`,
        /// or `'warn'`, which accepts it with a warning. Has no effect without `crl`.
        crl_warns: bool = "crlPolicy" ("'refuse' | 'warn'"), shown(false, "`'refuse'`"),
            |at| at.choice(&[("refuse", false), ("warn", true)]);
        /// The trust domain of the services, as in `shop.example`.
        trust_domain: Option<String> = "trustDomain" ("string"), absent("that of this certificate"),
            |at| at.string().map(Some);
        /// Whether certificates without a SPIFFE id name their service by a DNS name.
        dns: bool = "names" ("'spiffe' | 'dns'"), shown(false, "`'spiffe'`"),
            |at| at.choice(&[("spiffe", false), ("dns", true)]);
        /// With `names: 'dns'`: the suffix of DNS names. The name of a service is then its id, `.`
        /// and this suffix.
        dns_suffix: Option<String> = "dnsSuffix" ("string"), absent("the id alone"),
            |at| at.string().map(Some);
        /// The form of SPIFFE ids, with the place of the service id, as in
        /// `spiffe://shop.example/ns/prod/sa/{service}`.
        template: Option<String> = "id" ("string"),
            absent("the last segment of a path that otherwise equals this certificate's"),
            |at| at.string().map(Some);
        /// The SPIFFE Workload API, from which this mesh gets its certificate by itself: instead of `cert`, `key`, `ca` and
        /// `crl`. Either the socket of the agent, as in `'unix:///run/spire/agent.sock'`, or `true` for the one that
        /// `SPIFFE_ENDPOINT_SOCKET` names.
        workload: Option<PathBuf> = "workloadApi" ("string | true"), absent("none"),
            |at| socket(at).map(Some);
    }
    elsewhere {
        /// The built-in authority, from which this mesh gets its certificate by itself: instead of `cert`, `key`,
        /// `ca` and `crl`. Default: none.
        "authority" ("EnrolmentConfig");
    }
}
