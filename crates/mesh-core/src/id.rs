//! Identifiers that are parsed once: a value of these types is well formed.

use std::{fmt, str::FromStr, sync::Arc};

use crate::error::{Code, Coded, Reason};

/// The name of a service: 1 to 128 ASCII letters, digits, `.`, `_` and `-`,
/// beginning and ending with a letter or digit, without two dots in a row.
///
/// The alphabet excludes characters with a meaning in file systems, logs,
/// terminals or pages, and characters that look like others.
///
/// ```
/// use mesh_core::id::ServiceId;
/// assert!("orders.eu-1".parse::<ServiceId>().is_ok());
/// assert!("../../tmp/x".parse::<ServiceId>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(Arc<str>);

/// Longest [`ServiceId`], in bytes.
pub const MAX_SERVICE_ID: usize = 128;

/// A service id outside the allowed alphabet or length. The error does not
/// repeat the rejected string, which may come from a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a service id is {ID_RULE}")]
pub struct IdSyntaxError;

/// The rule for service ids, for error messages.
pub(crate) const ID_RULE: &str =
    "1 to 128 ASCII letters, digits, '.', '_' or '-', beginning and ending with a letter or digit";

impl Coded for IdSyntaxError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }

    fn reason(&self) -> Reason {
        Reason::IdSyntax
    }
}

impl ServiceId {
    /// The id as a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The valid id that is nearest to `text`, if there is one: a hyphen
    /// replaces every run of other characters.
    pub(crate) fn nearest(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
            .filter(|part| !part.is_empty())
            .collect();
        parts.join("-").parse().ok()
    }

    /// Parses the bytes of a received message.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdSyntaxError> {
        std::str::from_utf8(bytes).map_err(|_| IdSyntaxError)?.parse()
    }
}

impl FromStr for ServiceId {
    type Err = IdSyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let (Some(first), Some(last)) = (text.bytes().next(), text.bytes().last()) else {
            return Err(IdSyntaxError);
        };
        let well_formed = text.len() <= MAX_SERVICE_ID
            && text.bytes().all(allowed)
            && first.is_ascii_alphanumeric()
            && last.is_ascii_alphanumeric()
            && !text.contains("..");
        if well_formed { Ok(Self(text.into())) } else { Err(IdSyntaxError) }
    }
}

impl fmt::Debug for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a session: 128 bits derived from the handshake's transcript,
/// written as 32 lower-case hexadecimal digits. It is not a secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// Takes the derived bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_ordinary_names() {
        for id in ["a", "my-service", "orders.v2", "A_1", &"x".repeat(128)] {
            assert_eq!(id.parse::<ServiceId>().map(|id| id.to_string()).as_deref(), Ok(id));
        }
    }

    #[test]
    fn proposes_the_nearest_name() {
        let nearest = |text| ServiceId::nearest(text).map(|id| id.to_string());
        assert_eq!(nearest("my service").as_deref(), Some("my-service"));
        assert_eq!(nearest(" orders / eu! ").as_deref(), Some("orders-eu"));
        assert_eq!(nearest("../../tmp/x"), None);
        assert_eq!(nearest(""), None);
    }

    #[test]
    fn refuses_names_with_a_second_meaning() {
        let long = "x".repeat(129);
        let hostile = [
            "",
            ".",
            "..",
            "../../tmp/x",
            "a/b",
            "a\\b",
            "a\0b",
            "a\nb",
            "a b",
            "-a",
            "a-",
            ".a",
            "a..b",
            "\u{430}dmin",
            "a\u{1b}[31m",
            "<b>",
            &long,
        ];
        for id in hostile {
            assert_eq!(id.parse::<ServiceId>(), Err(IdSyntaxError), "{id:?}");
        }
        assert_eq!(ServiceId::from_bytes(b"\xff"), Err(IdSyntaxError));
    }
}
