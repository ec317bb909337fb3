//! TLS to servers that are no meshes, such as etcd, Consul and Kubernetes.

use std::{fs, path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject};

/// The most bytes of a file of authorities.
const MAX_FILE: u64 = 1 << 20;

/// A configuration that trusts the authorities of a PEM file, or without one those of the operating system.
/// Reads files.
///
/// # Errors
/// A sentence about the file.
pub(super) fn client_config(ca: Option<&Path>, alpn: &[u8]) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let shown = path.display();
            let size = fs::metadata(path).map_err(|error| format!("{shown}: {error}"))?.len();
            if size > MAX_FILE {
                return Err(format!("{shown} is larger than {MAX_FILE} bytes"));
            }
            let text = fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
            for certificate in CertificateDer::pem_slice_iter(&text) {
                let certificate = certificate.map_err(|_| format!("{shown} is no PEM file"))?;
                roots.add(certificate).map_err(|error| format!("{shown}: {error}"))?;
            }
            if roots.is_empty() {
                return Err(format!("{shown} has no certificate of an authority"));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err("the operating system has no authorities; give the option ca".to_owned());
            }
        }
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config =
        versions.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(Arc::new(config))
}
