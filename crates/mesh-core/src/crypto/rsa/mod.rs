//! RSA keys of 2048 to 4096 bits with exponent 65537: OAEP-SHA256 and PSS
//! (RFC 8017), thumbprints (RFC 7638).
//!
//! The `rsa` crate generates keys and validates key material. The operations,
//! whose timing matters, run in `aws-lc-rs`.

mod private;
mod public;

pub use private::KeyPair;
pub use public::{PublicKey, Thumbprint};

/// Smallest modulus, in bits.
pub const MIN_BITS: u32 = 2048;
/// Largest modulus, in bits.
pub const MAX_BITS: u32 = 4096;

/// The purpose of a signature.
///
/// A signature covers this name, a zero byte and the message. A signature made
/// for one purpose is therefore invalid for every other one. It is also invalid
/// for a JWT, since no JWT begins with such a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureDomain {
    /// Application data, signed by `CryptoManager.sign`.
    Data,
    /// The sender's signature of an envelope.
    Envelope,
    /// A key's statement of its successor.
    Succession,
    /// A client key's statement of the X25519 key that resumes its sessions.
    Resumption,
    /// A checkpoint of the audit log.
    Audit,
}

impl SignatureDomain {
    /// The name that precedes the message.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "secure-stack-mesh/data/v1",
            Self::Envelope => "secure-stack-mesh/envelope/v1",
            Self::Succession => "secure-stack-mesh/succession/v1",
            Self::Resumption => "secure-stack-mesh/resumption/v1",
            Self::Audit => "secure-stack-mesh/audit/v1",
        }
    }

    fn wrap(self, message: &[u8]) -> Vec<u8> {
        [self.as_str().as_bytes(), &[0], message].concat()
    }
}

#[cfg(test)]
mod tests;
