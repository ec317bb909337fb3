//! RSA keys of 2048 to 4096 bits with exponent 65537: OAEP-SHA256 and PSS
//! (RFC 8017), thumbprints (RFC 7638).
//!
//! The `rsa` crate generates keys and judges key material; the operations,
//! whose timing matters, are those of `aws-lc-rs`.

mod private;
mod public;

pub use private::KeyPair;
pub use public::{PublicKey, Thumbprint};

/// Smallest modulus, in bits.
pub const MIN_BITS: u32 = 2048;
/// Largest modulus, in bits.
pub const MAX_BITS: u32 = 4096;

/// What a signature is made for.
///
/// What is signed is this name, a zero byte, and the message. So a signature
/// made for one purpose is none for another, and none is ever a JWT's: no JWT
/// begins like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureDomain {
    /// Data of the application's own: `CryptoManager.sign`.
    Data,
    /// The sender's signature of an envelope.
    Envelope,
    /// A key's naming of the one that takes its place.
    Succession,
    /// A client key's statement of which X25519 key resumes its sessions.
    Resumption,
}

impl SignatureDomain {
    /// The name in front of the message.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "secure-stack-mesh/data/v1",
            Self::Envelope => "secure-stack-mesh/envelope/v1",
            Self::Succession => "secure-stack-mesh/succession/v1",
            Self::Resumption => "secure-stack-mesh/resumption/v1",
        }
    }

    fn wrap(self, message: &[u8]) -> Vec<u8> {
        [self.as_str().as_bytes(), &[0], message].concat()
    }
}

#[cfg(test)]
mod tests;
