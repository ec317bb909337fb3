//! The identity of a peer by its certificate: `docs/protocol.md`, section 8, without
//! sockets, tasks, files or a clock. Bytes and `now` in, a verified identity out.
//!
//! A certificate says which RSA key is a service's mesh key: the leaf's key
//! signs a [`Delegation`], and the handshake then works as with a pinned key.
//!
//! | file | content |
//! |---|---|
//! | `material` | this service's own chain and key, from PEM |
//! | `leaf_key` | the leaf's private key, which signs delegations |
//! | `algorithms` | the signatures that count |
//! | `certificate` | the facts of one certificate |
//! | `anchors` | trust anchors and revocation lists; paths to them |
//! | `certified` | an identity that has passed every check |
//! | `names` | which service a certificate names |
//! | `delegation` | the bytes of an identity, signed and parsed |
//! | `revocation` | what `revoke()` has named |
//! | `cache` | verified identities |
//! | `verifier` | the checks in their order |
//! | `request` | the key of a signing request |
//! | `tls` | the same certificates and checks, for TLS |

mod algorithms;
mod anchors;
mod cache;
mod certificate;
mod certified;
mod delegation;
mod error;
mod leaf_key;
mod material;
mod names;
mod request;
mod revocation;
#[cfg(test)]
pub(crate) mod tests;
pub mod tls;
mod verifier;

pub use self::{
    anchors::{Anchors, CrlPolicy},
    certified::Certified,
    delegation::{Delegation, MAX_CERTIFICATES, MAX_CHAIN, MAX_DELEGATION},
    error::{IdentityError, MaterialError},
    material::{Credential, Presented},
    names::{NameRule, Names},
    request::BadRequest,
    revocation::{Revocation, Revocations},
    verifier::Verifier,
};
pub(crate) use self::{certificate::KeyKind, request::RequestedKey};
