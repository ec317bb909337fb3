section! {
    /// The further conditions of a rule.
    Conditions as AuthorizationConditions {
        /// Metadata that the request must carry, with exactly these values. The caller chooses its metadata freely,
        /// so a condition proves nothing about the caller.
        metadata: BTreeMap<String, String> = "metadata" ("Record<string, string>"),
            required("an object of strings"), |at| at.texts(MAX_CONDITIONS);
    }
}
