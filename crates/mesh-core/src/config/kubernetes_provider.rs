section! {
    /// Kubernetes as the source of instances, for `discovery.provider: 'kubernetes'`: the ready endpoints of the
    /// `EndpointSlices` of the Kubernetes service with the service's id, watched through the API server. The pod's service
    /// account needs `get`, `list` and `watch` of `endpointslices` (`discovery.k8s.io`). While the API server is away,
    /// the last instances stay.
    KubernetesProvider as KubernetesProviderConfig {
        /// `'kubernetes'`.
        kind: () = "provider" ("'kubernetes'"), required("'kubernetes'"), |at| at.choice(&[("kubernetes", ())]);
        /// The namespace of the services.
        namespace: Option<String> = "namespace" ("string"), absent("that of the pod"), |at| at.string().map(Some);
        /// The name of the port in the Kubernetes service.
        port: Option<String> = "portName" ("string"), absent("its first port"), |at| at.string().map(Some);
        /// The address of the API server.
        address: Option<ServerUrl> = "address" ("string"), absent("that in the variables of the pod"),
            |at| Ok(at.server()?.map(Some));
        /// The file with the token of the service account, which is read again before each question.
        token_file: PathBuf = "tokenFile" ("string"),
            shown(PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount/token"), "that of the pod"),
            |at| Ok(at.string()?.map(PathBuf::from));
        /// The authorities behind the API server's certificate, a PEM file.
        ca: PathBuf = "ca" ("string"),
            shown(PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"), "that of the pod"),
            |at| Ok(at.string()?.map(PathBuf::from));
    }
}
