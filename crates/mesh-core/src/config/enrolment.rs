section! {
    /// Certificates that a mesh gets and renews by itself, from the built-in authority. They are kept in the
    /// key directory. Neither files nor PEM are given beside it.
    EnrolmentOptions as EnrolmentConfig {
        /// The service that has mounted the authority (`certificateAuthority()`). It is one of
        /// `discovery.services`, or a provider knows it.
        service: Option<ServiceId> = "service" ("string"), absent("none: `directory` has the authority"),
            |at| at.service_id().map(Some);
        /// A token of the authority for this service, for its first certificate. It is not used while the key
        /// directory has a certificate that is valid.
        token: Option<JoinSecret> = "joinToken" ("string") or "SECURE_MESH_JOIN_TOKEN", absent("none"),
            |at| JoinSecret::read(at).map(Some);
        /// The directory of the authority itself, for the service that has mounted it.
        directory: Option<PathBuf> = "directory" ("string"), absent("none: `service` has the authority"),
            |at| at.absolute_path().map(Some);
    }
}
