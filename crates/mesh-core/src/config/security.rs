section! {
    /// The options of keys, tokens and sessions.
    Security as SecurityConfig {
        /// The size of the RSA key in bits.
        rsa_bits: u32 = "rsaKeySize" ("2048 | 4096"), shown(4096, "4096"), |at| at.one_of(&[2048, 4096]);
        /// The size of the AES keys in bits.
        aes_bits: u32 = "aesKeySize" ("128 | 192 | 256"), shown(256, "256"),
            |at| at.one_of(&[128, 192, 256]);
        /// The secret that all services of the mesh share: at least 32 bytes, with at
        /// least 8 different ones, and not a repetition of a short pattern.
        secret: Option<Secret> = "jwtSecret" ("string") or "SECURE_MESH_JWT_SECRET",
            absent("one that is made at the first use and kept in the key directory, which only services of \
                    the same user on the same machine can read"),
            |at| Secret::read(at).map(Some);
        /// This service's RSA key: PEM (PKCS#8 or PKCS#1), or the absolute path of a file with
        /// it. With this option replicas share one key, and the service keeps its identity when
        /// it loses its disk. The guide to containers lists the files that are accepted. The key
        /// is neither stored nor logged, and `rotateKeys()` does not replace it. The variable may
        /// hold the PEM in one line, with `\n` for the ends of lines.
        private_key: Option<PrivateKey> = "privateKey" ("string") or "SECURE_MESH_PRIVATE_KEY",
            absent("one that is made at the first use and kept in the key directory"), |at| PrivateKey::read(at).map(Some);
        /// The time for which a token is valid, 1 s to 1 day.
        token_lifetime: Duration = "jwtExpiration" ("Duration") or "SECURE_MESH_JWT_EXPIRATION",
            hours(1), |at| at.duration(DAY);
        /// The time for which an idle session stays open, 1 s to 30 days.
        session_timeout: Duration = "sessionTimeout" ("Duration") or "SECURE_MESH_SESSION_TIMEOUT",
            hours(1), |at| at.duration(MONTH);
        /// The age at which a session is replaced, busy or not, 1 s to 30 days.
        session_lifetime: Duration = "sessionLifetimeMs" ("Duration"), hours(24), |at| at.duration(MONTH);
        /// The treatment of a peer whose key differs from its remembered key: `'enforce'` refuses
        /// it, `'ignore'` accepts it if it knows the secret. Pins always hold.
        enforce_peer_keys: bool = "peerKeys" ("'enforce' | 'ignore'"), shown(true, "`'enforce'`"),
            |at| at.choice(&[("enforce", true), ("ignore", false)]);
        /// @deprecated Use `paths.keysDir`.
        keys_dir: Option<String> = "keysDir" ("string"), absent(""), |at| at.string().map(Some);
    }
    elsewhere {
        /// Certificates as the only trust of this mesh.
        "certificate" ("CertificateConfig");
        /// For a migration: a weaker trust that is accepted beside certificates, and its end; one element
        /// at most. A service that has once proved a certificate to this one needs a certificate from then
        /// on. Default: none.
        "accept" ("AcceptedTrustConfig[]");
        /// TLS 1.3 beneath the streams. `'auto'` uses TLS if there is a `security.certificate`, with that
        /// certificate; `'required'` is the same, and the start fails without a certificate; `'off'` is
        /// plain HTTP/2. An object gives certificates that serve for TLS only. A service with TLS refuses
        /// peers without it. Default: `'auto'`.
        "tls" ("'auto' | 'required' | 'off' | TlsConfig");
    }
}
