section! {
    /// A rule about which callers may call which methods.
    RuleOptions as AuthorizationRule {
        /// The name of the rule in logs, metrics and errors: letters, digits, spaces, `.`, `_`, `-` and `/`; 128
        /// characters at most.
        name: Option<String> = "name" ("string"), absent("its place, as in `rules[3]`"),
            |at| Rule::name(at).map(Some);
        /// The callers: service ids, SPIFFE ids, SPIFFE ids that end in `/*` for every id below, or `'*'` for
        /// every caller.
        from: Vec<CallerPattern> = "from" ("readonly string[]"), required("an array of callers"),
            |at| CallerPattern::list(at);
        /// The methods: names, names that end in `.*` for every method below, or `'*'` for every
        /// method.
        to: Vec<MethodPattern> = "to" ("readonly string[]"), required("an array of methods"),
            |at| MethodPattern::list(at);
        /// Methods that this rule does not match, in the form of `to`. Other rules may still match them.
        except: Vec<MethodPattern> = "except" ("readonly string[]"), shown(Vec::new(), "none"),
            |at| MethodPattern::list(at);
        /// Further conditions, all of which must hold.
        when: BTreeMap<String, String> = "when" ("AuthorizationConditions"), shown(BTreeMap::new(), "none"),
            |at| Conditions::of(at);
        /// Whether the rule denies the requests that it matches. A denial outweighs every rule that
        /// permits.
        deny: bool = "deny" ("boolean"), shown(false, "false"), |at| at.boolean();
    }
}
