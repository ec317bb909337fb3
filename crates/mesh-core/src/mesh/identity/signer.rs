//! The signature of the audit log. It has to be there when the mesh itself is gone, whose end it signs.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    crypto::rsa::SignatureDomain,
    handshake::Local,
    mesh::{error::Error, sync::lock},
};

/// Signs checkpoints of the audit log with the key that a mesh has at that time.
#[derive(Clone)]
pub struct AuditSigner(pub(super) Arc<Mutex<Arc<Local>>>);

impl AuditSigner {
    /// Signs a text: RSASSA-PSS with SHA-256 over `secure-stack-mesh/audit/v1`, a zero byte and the text. Returns the
    /// public key (SPKI) and the signature, both in base64url. Blocks for an RSA private operation.
    ///
    /// # Errors
    /// The cryptographic library refuses.
    pub fn sign(&self, text: &str) -> Result<(String, String), Error> {
        let local = Arc::clone(&lock(&self.0));
        let signature = local.key.pss_sign(SignatureDomain::Audit, text.as_bytes())?;
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        Ok((text(local.key.public_key().spki_der()), text(&signature)))
    }
}

impl fmt::Debug for AuditSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditSigner(..)")
    }
}
