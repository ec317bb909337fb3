section! {
    /// A file as the source of instances, for `discovery.provider: 'file'`. It is followed: a change takes effect on
    /// live calls. A file that is broken or missing changes nothing, and the log says so.
    FileProvider as FileProviderConfig {
        /// `'file'`.
        kind: () = "provider" ("'file'"), required("'file'"), |at| at.choice(&[("file", ())]);
        /// The file: a JSON array of `{ id, host, port, zone?, weight?, metadata? }`, at most 4 MiB.
        path: PathBuf = "path" ("string"), required("the path of a JSON file"),
            |at| Ok(at.string()?.map(PathBuf::from));
    }
}
