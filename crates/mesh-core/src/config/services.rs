section! {
    /// The address of a service, and its public key. A service that only calls, and does not
    /// listen, has a `publicKey` and neither `host` nor `port`.
    Instance as ServiceConfig {
        /// The service's id. Several entries with one id are several instances.
        id: ServiceId = "id" ("string"), required("a service id"), |at| at.service_id();
        /// Host name or address.
        host: Option<String> = "host" ("string"), absent(""), |at| at.host().map(Some);
        /// TCP port, 1…65535.
        port: Option<u16> = "port" ("number"), absent(""), |at| at.port(1).map(Some);
        /// The service's RSA public key, PEM (SPKI). With it exactly this key is accepted;
        /// without it the service proves itself by the shared or the embedded secret.
        public_key: Option<String> = "publicKey" ("string"), absent(""), |at| at.string().map(Some);
        /// The zone of this instance: see `balancing.zone`.
        zone: Option<String> = "zone" ("string"), absent(""), |at| at.string().map(Some);
        /// The share of the calls that this instance gets, relative to the weights of the others,
        /// 1…65,535.
        weight: u32 = "weight" ("number"), count(1), |at| at.integer(1, 65_535);
        /// Further facts about the service.
        metadata: BTreeMap<String, String> = "metadata" ("Record<string, string>"),
            shown(BTreeMap::new(), ""), |at| at.strings();
    }
    elsewhere {
        /// @deprecated Has no effect.
        "lastHealthCheck" ("Date");
        /// @deprecated Has no effect.
        "status" ("'healthy' | 'unhealthy' | 'unknown'");
    }
}
