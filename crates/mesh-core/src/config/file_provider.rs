section! {
    /// A file as the source of instances, for `discovery.provider: 'file'`. The file is watched, and a change takes
    /// effect without a restart. A broken or missing file leaves the last instances in place and is logged.
    FileProvider as FileProviderConfig {
        /// `'file'`.
        kind: () = "provider" ("'file'"), required("'file'"), |at| at.choice(&[("file", ())]);
        /// The file: a JSON array of `{ id, host, port, zone?, weight?, metadata? }`, at most 4 MiB.
        path: PathBuf = "path" ("string"), required("the path of a JSON file"),
            |at| Ok(at.string()?.map(PathBuf::from));
    }
}
