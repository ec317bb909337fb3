section! {
    /// A weaker trust that is accepted beside certificates during a migration.
    AcceptedTrust as AcceptedTrustConfig {
        /// The trust: the mesh secret (`security.jwtSecret`), or the keys that
        /// `discovery.services` pins.
        trust: WeakerTrust = "trust" ("'shared-secret' | 'pinned'"), required("'shared-secret' or 'pinned'"),
            |at| at.choice(&[("shared-secret", WeakerTrust::SharedSecret), ("pinned", WeakerTrust::Pinned)]);
        /// The end: the first day, in UTC, on which this trust is no longer accepted, as in
        /// `'2027-03-01'`.
        until: Timestamp = "until" ("string"), required("a date, as in '2027-03-01'"), |at| at.date();
    }
}
