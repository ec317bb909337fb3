//! The patterns of rules. A pattern stands for one caller or method, for all with a common prefix,
//! or for all.

use std::fmt;

use super::{error::ConfigError, read::At};
use crate::id::ServiceId;

/// The most patterns in one list.
const MAX_PATTERNS: usize = 1_000;
/// The longest name of a method.
const MAX_METHOD: usize = 200;
/// The longest SPIFFE id, in bytes, by its standard.
const MAX_SPIFFE_ID: usize = 2_048;
const SCHEME: &str = "spiffe://";

const CALLER: &str = "'*', a service id, or a SPIFFE id such as 'spiffe://shop.example/ns/prod/sa/orders' or \
                      'spiffe://shop.example/ns/prod/*'";
const METHOD: &str = "'*', the name of a method, or a name that ends in '.*', as in 'orders.*'";

/// Callers, as `from` of a rule names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CallerPattern {
    /// `*`: every caller.
    Any,
    /// The service of this id.
    Service(ServiceId),
    /// The workload of this SPIFFE id.
    Spiffe(String),
    /// Every workload whose SPIFFE id begins with this string and a slash.
    Below(String),
}

impl CallerPattern {
    pub(super) fn list(at: &At<'_>) -> Result<Option<Vec<Self>>, ConfigError> {
        at.each_text(MAX_PATTERNS, CALLER, Self::parse)
    }

    /// Reads a pattern; `None` if `text` is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        if !text.starts_with(SCHEME) {
            return text.parse().ok().map(Self::Service);
        }
        match text.strip_suffix("/*") {
            Some(above) => is_spiffe(above).then(|| Self::Below(above.to_owned())),
            None => is_spiffe_id(text).then(|| Self::Spiffe(text.to_owned())),
        }
    }
}

/// Methods, as `to` and `except` of a rule name them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MethodPattern {
    /// `*`: every method.
    Any,
    /// The method of this name.
    Exact(String),
    /// Every method whose name begins with this string and a dot.
    Below(String),
}

impl MethodPattern {
    pub(super) fn list(at: &At<'_>) -> Result<Option<Vec<Self>>, ConfigError> {
        at.each_text(MAX_PATTERNS, METHOD, Self::parse)
    }

    /// Reads a pattern; `None` if `text` is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let (name, below) = text.strip_suffix(".*").map_or((text, false), |above| (above, true));
        // A star elsewhere would match nothing, and the author of the rule would not notice.
        let allowed =
            |b: u8| b.is_ascii_graphic() && !matches!(b, b'*' | b'<' | b'>' | b'"' | b'\'' | b'`' | b'\\');
        if !(1..=MAX_METHOD).contains(&name.len()) || !name.bytes().all(allowed) {
            return None;
        }
        Some(if below { Self::Below(name.to_owned()) } else { Self::Exact(name.to_owned()) })
    }

    /// Whether the pattern matches a method of this name.
    #[must_use]
    pub fn matches(&self, method: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => name == method,
            Self::Below(above) => method
                .strip_prefix(above.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.starts_with('.')),
        }
    }
}

impl fmt::Display for CallerPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Service(id) => write!(f, "{id}"),
            Self::Spiffe(id) => f.write_str(id),
            Self::Below(above) => write!(f, "{above}/*"),
        }
    }
}

impl fmt::Display for MethodPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Below(above) => write!(f, "{above}.*"),
        }
    }
}

/// Whether `text` is the SPIFFE id of a workload: it has a path.
#[must_use]
pub fn is_spiffe_id(text: &str) -> bool {
    is_spiffe(text) && text[SCHEME.len()..].contains('/')
}

/// Whether `text` is a SPIFFE id, of a workload or of a trust domain.
fn is_spiffe(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(SCHEME) else { return false };
    let mut parts = rest.split('/');
    let domain = parts.next().unwrap_or_default();
    let of_domain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    let of_segment = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    text.len() <= MAX_SPIFFE_ID
        && (1..=255).contains(&domain.len())
        && domain.bytes().all(of_domain)
        && parts.all(|segment| !matches!(segment, "" | "." | "..") && segment.bytes().all(of_segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_ids_and_whole_parts_of_a_path() {
        use CallerPattern::{Any, Below, Service, Spiffe};
        let caller = CallerPattern::parse;
        assert_eq!(caller("*"), Some(Any));
        assert_eq!(caller("gateway"), Some(Service("gateway".parse().unwrap())));
        let id = "spiffe://shop.example/ns/prod/sa/gateway";
        assert_eq!(caller(id), Some(Spiffe(id.to_owned())));
        assert_eq!(caller("spiffe://shop.example/ns/*"), Some(Below("spiffe://shop.example/ns".to_owned())));
        assert_eq!(caller("spiffe://shop.example/*"), Some(Below("spiffe://shop.example".to_owned())));
        for wrong in [
            "",
            "gate*",
            "orders.*",
            "**",
            "../x",
            "spiffe://",
            "spiffe://*",
            "spiffe:///x",
            "spiffe://shop.example",
            "spiffe://shop.example/",
            "spiffe://Shop.example/x",
            "spiffe://shop.example:443/x",
            "spiffe://user@shop.example/x",
            "spiffe://shop.example/ns/pro*",
            "spiffe://shop.example/*/sa",
            "spiffe://shop.example/ns/../x",
            "spiffe://shop.example//x",
            "spiffe://shop.example/x?y",
            "spiffe://shop.example/x%2f",
            "SPIFFE://shop.example/x",
            "https://shop.example/x",
        ] {
            assert_eq!(caller(wrong), None, "{wrong}");
        }
        let long = format!("spiffe://shop.example/{}", "x".repeat(MAX_SPIFFE_ID - 22));
        assert!(caller(&long).is_some() && caller(&format!("{long}x")).is_none());
    }

    #[test]
    fn methods_are_names_and_what_is_below_a_dot() {
        let method = MethodPattern::parse;
        for wrong in ["", ".*", "*.get", "or*.get", "orders*", "orders.*.get", "a b", "a\n", "é", "a<b"] {
            assert_eq!(method(wrong), None, "{wrong}");
        }
        assert!(method(&"x".repeat(MAX_METHOD)).is_some() && method(&"x".repeat(MAX_METHOD + 1)).is_none());
        let below = method("orders.*").unwrap();
        for (name, expected) in [
            ("orders.get", true),
            ("orders.items.get", true),
            ("orders..", true),
            ("orders.", false),
            ("orders", false),
            ("ordersget", false),
            ("orders2.get", false),
            ("Orders.get", false),
        ] {
            assert_eq!(below.matches(name), expected, "{name}");
        }
        assert!(method("*").unwrap().matches("securestack.stats"));
        assert!(method("orders.get").unwrap().matches("orders.get"));
        assert!(!method("orders.get").unwrap().matches("orders.get2"));
    }
}
