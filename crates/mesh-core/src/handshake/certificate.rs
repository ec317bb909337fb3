//! This side's certificate, and the checks of those of peers.

use std::{fmt, sync::Arc};

use crate::{clock::Timestamp, identity::Verifier};

/// This side's certificate as it goes to peers, and the checks of theirs.
#[derive(Clone)]
pub struct Certificate {
    /// The bytes of the identity of kind 2. Its delegation names the key of
    /// [`Local`](super::Local).
    pub identity: Vec<u8>,
    /// The end of the delegation.
    pub expires: Timestamp,
    /// The checks of peers' certificates.
    pub verifier: Arc<Verifier>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} bytes, {:?})", self.identity.len(), self.expires)
    }
}
