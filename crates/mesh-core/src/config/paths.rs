section! {
    /// Directories.
    Paths as PathsConfig {
        /// @deprecated Has no effect but a warning to the logger: the protocol is built in.
        proto_file: Option<String> = "protoFile" ("string"), absent(""), |at| at.string().map(Some);
        /// The directory for this service's key pair, the embedded secret and the keys of known peers.
        keys_dir: (Option<String>, Option<String>) = "keysDir" ("string") or "SECURE_MESH_KEYS_DIR",
            shown((None, None),
                "`secure-stack-mesh` in the user's state directory (`XDG_STATE_HOME`, `~/.local/state`)"),
            |at| Ok(Some((at.string()?, at.variable())));
    }
    elsewhere {
        /// The directory for the audit log, if `monitoring` has no adapters.
        "logsDir" ("string");
        /// The directory for metrics beside that log. Default: metrics are not kept.
        "metricsDir" ("string");
    }
}
