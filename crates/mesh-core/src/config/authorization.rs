section! {
    /// The rules about which caller may call which method of this service. Without them every service
    /// that has a session may call every method, as far as the handler's `allow` permits.
    Authorization as AuthorizationConfig {
        /// The decision about a request that no rule matches.
        default: Option<Effect> = "default" ("'deny' | 'allow'"),
            absent("`'deny'` once there is a rule, else `'allow'`"),
            |at| Effect::read(at).map(Some);
        /// Whether a denial takes effect (`'enforce'`) or is only logged, audited and counted (`'audit'`).
        mode: Mode = "mode" ("'enforce' | 'audit'"), shown(Mode::Enforce, "`'enforce'`"),
            |at| Mode::read(at);
        /// The rules, at most 10,000. A request is permitted if a rule matches it and no rule with `deny`
        /// does.
        rules: Vec<Rule> = "rules" ("AuthorizationRule[]"), shown(Vec::new(), "none"), |at| Rule::list(at);
        /// The absolute path of a policy file, instead of the options above: JSON with the same options,
        /// 4 MiB at most. The mesh follows its changes. A file that is missing or broken at the start is an
        /// error; one that breaks later leaves the previous policy in force and shows in `healthCheck()`.
        file: Option<PathBuf> = "file" ("string"), absent(""), |at| at.absolute_path().map(Some);
    }
}
