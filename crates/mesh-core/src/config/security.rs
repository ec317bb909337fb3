section! {
    /// How keys, tokens and sessions are made.
    Security as SecurityConfig {
        /// The size of the RSA key in bits.
        rsa_bits: u32 = "rsaKeySize" ("2048 | 4096"), shown(4096, "4096"), |at| at.one_of(&[2048, 4096]);
        /// The size of the AES keys in bits.
        aes_bits: u32 = "aesKeySize" ("128 | 192 | 256"), shown(256, "256"),
            |at| at.one_of(&[128, 192, 256]);
        /// The secret shared by all services of the mesh: at least 32 bytes, 8 of them
        /// different, and no short pattern repeated.
        secret: Option<Secret> = "jwtSecret" ("string") or "SECURE_MESH_JWT_SECRET",
            absent("one made at the first use and kept in the key directory, which only services of \
                    the same user on the same machine can read"),
            |at| Secret::read(at).map(Some);
        /// This service's RSA key, so that replicas share it and a new disk does not make a new
        /// service: PEM (PKCS#8 or PKCS#1), or the absolute path of a file with it. The guide to
        /// containers says which files are accepted. The key is neither stored nor logged, and
        /// `rotateKeys()` does not replace it. The variable may hold it in one line with `\n` for
        /// the ends of lines.
        private_key: Option<PrivateKey> = "privateKey" ("string") or "SECURE_MESH_PRIVATE_KEY",
            absent("one that is made, and kept in the key directory"), |at| PrivateKey::read(at).map(Some);
        /// How long a token is valid, 1 s to 1 day.
        token_lifetime: Duration = "jwtExpiration" ("Duration") or "SECURE_MESH_JWT_EXPIRATION",
            hours(1), |at| at.duration(DAY);
        /// How long an idle session stays open, 1 s to 30 days.
        session_timeout: Duration = "sessionTimeout" ("Duration") or "SECURE_MESH_SESSION_TIMEOUT",
            hours(1), |at| at.duration(MONTH);
        /// How long a session lasts until it is replaced, busy or not, 1 s to 30 days.
        session_lifetime: Duration = "sessionLifetimeMs" ("Duration"), hours(24), |at| at.duration(MONTH);
        /// Whether a peer whose key is not the one it was first seen with is refused (`'enforce'`)
        /// or accepted as long as it knows the secret (`'ignore'`). Pins always hold.
        enforce_peer_keys: bool = "peerKeys" ("'enforce' | 'ignore'"), shown(true, "`'enforce'`"),
            |at| at.choice(&[("enforce", true), ("ignore", false)]);
        /// @deprecated Use `paths.keysDir`.
        keys_dir: Option<String> = "keysDir" ("string"), absent(""), |at| at.string().map(Some);
    }
    elsewhere {
        /// Certificates as the trust of this mesh.
        "certificate" ("CertificateConfig");
        /// During a migration: a weaker trust that is accepted beside certificates, and until when; one
        /// element at most. A service that has once proved a certificate here is accepted by nothing less.
        /// Default: none.
        "accept" ("AcceptedTrustConfig[]");
        /// TLS 1.3 beneath the streams. `'auto'`: with `security.certificate`, which carries it;
        /// `'required'`: the same, and without one the start is refused; `'off'`: plain HTTP/2. An object
        /// gives certificates that only carry TLS. A service with TLS refuses peers without it. Default:
        /// `'auto'`.
        "tls" ("'auto' | 'required' | 'off' | TlsConfig");
    }
}
