//! Sources outside of the process whose contents change while a mesh runs.
//! They deliver bytes and lists; the layers around them decide about the meaning.

pub mod files;
pub mod instances;
pub mod redis;
pub(crate) mod resolver;
mod stream;
pub mod workload;
