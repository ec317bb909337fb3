//! Durations as people write them in a configuration: `'500ms'`, `'15m'`, `'1h'`.

use std::time::Duration;

use crate::error::{Code, Coded, Reason};

/// Longest duration that [`parse`] accepts: 36,500 days. The limit keeps later
/// additions to a time far from an overflow.
pub const MAX: Duration = Duration::from_hours(36_500 * 24);

/// A string that is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a duration: write a whole number followed by ms, s, m, h or d, as in '500ms', '15m' or '1h' (at most 36500d)"
)]
pub struct DurationError(String);

impl Coded for DurationError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }

    fn reason(&self) -> Reason {
        Reason::Argument
    }
}

/// Parses a whole number and a unit: `ms`, `s`, `m`, `h` or `d`.
///
/// A number without a unit is rejected. A caller that accepts bare milliseconds
/// accepts them as a number, not as a string.
///
/// ```
/// use std::time::Duration;
/// use mesh_core::duration::parse;
/// assert_eq!(parse("15m"), Ok(Duration::from_secs(900)));
/// assert!(parse("15 minutes").is_err());
/// ```
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let refuse = || DurationError(text.chars().take(32).collect());
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().map_err(|_| refuse())?;
    let unit_millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(refuse()),
    };
    let duration = number.checked_mul(unit_millis).map(Duration::from_millis).ok_or_else(refuse)?;
    if duration <= MAX { Ok(duration) } else { Err(refuse()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_each_unit() {
        for (text, millis) in [
            ("0ms", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("15m", 900_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
            ("36500d", 36_500 * 86_400_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        let long = "9".repeat(40) + "s";
        for text in [
            "",
            "h",
            "1",
            "1.5h",
            "-1h",
            "+1h",
            "1 h",
            " 1h",
            "1h ",
            "1H",
            "1h30m",
            "1w",
            "0x1h",
            "1e3s",
            "36501d",
            "\u{661}h",
            "18446744073709551615d",
            &long,
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_message_shows_the_repair_and_no_more_than_a_bit_of_the_text() {
        let message = parse(&"\n".repeat(10_000)).unwrap_err().to_string();
        assert!(message.contains("'15m'") && message.len() < 300 && !message.contains('\n'));
    }
}
