//! The primitives, each behind a type that prevents misuse: AEAD, MAC, key
//! derivation, key agreement, RSA. The protocol is in the layers above.

use crate::error::{Code, Coded, Reason};

pub mod aead;
pub mod envelope;
pub mod kdf;
pub mod kem;
pub mod keyring;
pub mod keystore;
pub mod mac;
pub mod rsa;
pub mod secret;

/// The failure of a primitive.
///
/// No variant reveals *why* a decryption failed: a caller that could
/// distinguish the causes would be a padding oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The length of a symmetric key fits no algorithm.
    #[error("an AES key is 16, 24 or 32 bytes, got {0}")]
    KeyLength(usize),
    /// An RSA key is unusable; the string names the fault.
    #[error("unacceptable RSA key: {0}")]
    BadKey(&'static str),
    /// A share of a key agreement is malformed or of small order.
    #[error("unacceptable key agreement share")]
    BadShare,
    /// Decryption failed.
    #[error("decryption failed")]
    Open,
    /// The data is longer than the algorithm allows.
    #[error("{len} bytes are more than the limit of {max}")]
    TooLong {
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The cryptographic library failed: no memory, or no randomness.
    #[error("the cryptographic library failed")]
    Library,
}

impl Coded for CryptoError {
    fn code(&self) -> Code {
        match self {
            Self::KeyLength(_) | Self::BadKey(_) | Self::BadShare | Self::Open | Self::TooLong { .. } => {
                Code::InvalidArgument
            }
            Self::Library => Code::Internal,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::KeyLength(_) | Self::BadKey(_) => Reason::BadKey,
            Self::BadShare => Reason::BadShare,
            Self::Open => Reason::DecryptFailed,
            Self::TooLong { .. } => Reason::TooLarge,
            Self::Library => Reason::Crypto,
        }
    }
}

impl From<aws_lc_rs::error::Unspecified> for CryptoError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Library
    }
}
