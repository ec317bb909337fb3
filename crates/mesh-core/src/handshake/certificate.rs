//! This side's certificate, and its judgement of those of peers.

use std::{fmt, sync::Arc};

use crate::{clock::Timestamp, identity::Verifier};

/// This side's certificate, as peers see it, and its judgement of theirs.
#[derive(Clone)]
pub struct Certificate {
    /// The bytes of the identity; its delegation names the key of [`Local`](super::Local).
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
