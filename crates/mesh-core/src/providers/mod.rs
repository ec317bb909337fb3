//! Sources outside of the process whose contents change while a mesh runs.
//! They deliver bytes and lists; the layers around them decide about the meaning.

pub mod files;
pub mod instances;
pub(crate) mod resolver;
pub mod workload;
