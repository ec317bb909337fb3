//! The built-in authority: it issues the certificates of a mesh, revokes them, and replaces its own keys. It is a
//! directory on disk, and time is an argument.
//!
//! A root, whose key may be kept elsewhere, certifies issuers; the present issuer certifies services. Each process that
//! has the directory may change it: a lock lets one change it at a time, and each change replaces one file as a whole.
//!
//! | file | content |
//! |---|---|
//! | `ledger` | what is on disk: roots, issuers, tokens, certificates, revocations; which of them count |
//! | `issuing` | certificates and lists, made and signed |
//! | `disk` | the directory, its lock and its files |
//! | `token` | join tokens |
//! | `terms` | what the authority is told, and what it answers |
//! | `office` | the authority: what it does when it is asked |
//! | `enrolment` | the other side: the certificate of a service, its files and its renewal |
//!
//! Every function of [`Authority`] and [`Enrolment`] blocks.

mod disk;
mod enrolment;
mod error;
mod issuing;
mod ledger;
mod office;
mod terms;
#[cfg(test)]
mod tests;
mod token;

pub use self::{
    enrolment::{Enrolment, Standing, enrolment_files},
    error::AuthorityError,
    office::Authority,
    terms::{Bundle, Certified, Establishment, Invitation, RevokedCertificate, Summary},
    token::JoinToken,
};
