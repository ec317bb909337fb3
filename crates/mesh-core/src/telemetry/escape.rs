//! Escapes for foreign strings in a log.

use std::{borrow::Cow, fmt::Write};

/// Escapes every character that could end a line, move a terminal's cursor, change its colour, or reverse the
/// direction of writing: control characters, line and paragraph separators, and the invisible characters of
/// bidirectional text. They become `\n`, `\r`, `\t` or `\u{…}`.
///
/// ```
/// # use mesh_core::telemetry::escape;
/// assert_eq!(escape("a\nb\u{1b}[31m"), r"a\nb\u{1b}[31m");
/// ```
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_deceptive) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            c if is_deceptive(c) => {
                // Writing to a `String` cannot fail.
                let _ = write!(escaped, "\\u{{{:x}}}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_deceives_becomes_visible() {
        assert_eq!(escape("plain ünïcode 😀 <b>"), "plain ünïcode 😀 <b>");
        assert_eq!(escape("a\r\nb\tc"), r"a\r\nb\tc");
        assert_eq!(escape("\u{9b}31m\u{0}\u{7f}"), r"\u{9b}31m\u{0}\u{7f}");
        assert_eq!(escape("\u{2028}\u{202e}txt.exe"), r"\u{2028}\u{202e}txt.exe");
    }

    proptest! {
        #[test]
        fn nothing_deceptive_is_left_and_nothing_else_is_changed(text in any::<String>()) {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains(is_deceptive));
            if !text.contains(is_deceptive) {
                prop_assert_eq!(&*escaped, text.as_str());
            }
        }
    }
}
