//! The reports of a provider.

use serde_json::Value;

/// The receiver of what a provider finds out.
pub trait Sink: Send + Sync {
    /// All instances of the service, after each change.
    fn update(&self, instances: Vec<Value>);
    /// Whether the source is away, so that nobody can tell whether the last list still holds.
    fn away(&self, away: bool);
    /// A sentence for the operator about something that is wrong while the last list stays in use.
    fn trouble(&self, text: String);
}
