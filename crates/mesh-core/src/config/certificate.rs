section! {
    /// The certificate of this service, and the authorities that it trusts. With it, certificates
    /// are the only trust: neither a secret nor pinned keys count. Each file is given as an
    /// absolute path or as PEM. Files are watched: a mesh uses what is there a moment after it changes,
    /// and keeps the previous contents while it is no good.
    CertificateOptions as CertificateConfig {
        /// The certificate, and the intermediates behind it.
        cert: Option<Material> = "cert" ("string") or "SECURE_MESH_CERT", absent(""),
            |at| Material::read(at, "security.certificate.cert").map(Some);
        /// The private key of the certificate: ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to
        /// 4096 bits, not encrypted. The guide to containers says which files are accepted.
        key: Option<Material> = "key" ("string") or "SECURE_MESH_KEY", absent(""),
            |at| Material::read(at, "security.certificate.key").map(Some);
        /// The trust anchors: certificates of authorities, old and new ones together during a
        /// rotation.
        ca: Option<Material> = "ca" ("string") or "SECURE_MESH_CA", absent(""),
            |at| Material::read(at, "security.certificate.ca").map(Some);
        /// Revocation lists of these authorities and of their intermediates.
        crl: Option<Material> = "crl" ("string"), absent("none: nothing is looked up"),
            |at| Material::read(at, "security.certificate.crl").map(Some);
        /// Whether a certificate is refused or accepted with a warning if a list has expired, or if
        /// there is none of its issuer. Without `crl` it has no effect.
        crl_warns: bool = "crlPolicy" ("'refuse' | 'warn'"), shown(false, "`'refuse'`"),
            |at| at.choice(&[("refuse", false), ("warn", true)]);
        /// The trust domain of the services, as in `shop.example`.
        trust_domain: Option<String> = "trustDomain" ("string"), absent("that of this certificate"),
            |at| at.string().map(Some);
        /// Whether certificates without a SPIFFE id name their service by a DNS name.
        dns: bool = "names" ("'spiffe' | 'dns'"), shown(false, "`'spiffe'`"),
            |at| at.choice(&[("spiffe", false), ("dns", true)]);
        /// With `names: 'dns'`: the DNS name of a service is its id, or the id, `.` and this.
        dns_suffix: Option<String> = "dnsSuffix" ("string"), absent("the id alone"),
            |at| at.string().map(Some);
        /// Where the service id is in a SPIFFE id, as in
        /// `spiffe://shop.example/ns/prod/sa/{service}`.
        template: Option<String> = "id" ("string"),
            absent("the last segment of a path that otherwise equals this certificate's"),
            |at| at.string().map(Some);
    }    elsewhere {
        /// The built-in authority, from which this mesh gets its certificate by itself: instead of `cert`, `key`,
        /// `ca` and `crl`. Default: none.
        "authority" ("EnrolmentConfig");
    }
}
