//! The choice of the instance of a service for a call.
//!
//! A [`Group`] knows the instances of one service by their places in a list: how long each takes to answer,
//! how many calls are at it, whether it fails more than the others. Nothing here reads a clock or draws a
//! random number: time and [`Dice`] are arguments. A pick allocates nothing.

mod aperture;
mod dice;
mod facts;
mod group;
mod load;
mod outlier;
mod pick;
mod quantile;
mod sticky;
#[cfg(test)]
mod tests;

pub use dice::Dice;
pub use facts::Facts;
pub use group::{Group, Verdict, Visit};
pub use quantile::Quantile;
pub use sticky::{hash, key};
