//! The tables of options from the core's files. In the core, the same macro generates the configuration.

/// A section of options.
pub(crate) struct Section {
    pub(crate) interface: &'static str,
    /// Lines of documentation.
    pub(crate) doc: &'static [&'static str],
    pub(crate) rows: &'static [Row],
}

/// One option.
pub(crate) struct Row {
    pub(crate) key: &'static str,
    pub(crate) doc: &'static [&'static str],
    /// The type in JavaScript; `None` for an option that JavaScript declares itself.
    pub(crate) ts: Option<&'static str>,
    pub(crate) variable: Option<&'static str>,
    pub(crate) default: Fallback,
}

/// The default of an option.
pub(crate) enum Fallback {
    /// The option must be given.
    Required,
    /// The text of the documentation; empty for no default.
    Text(&'static str),
    Bytes(u64),
    Count(u64),
    Seconds(u64),
    Hours(u64),
}

macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

macro_rules! default_of {
    (required $expected:expr) => {
        $crate::options::table::Fallback::Required
    };
    (absent $text:expr) => {
        $crate::options::table::Fallback::Text($text)
    };
    (shown $value:expr, $text:expr) => {
        $crate::options::table::Fallback::Text($text)
    };
    (bytes $value:expr) => {
        $crate::options::table::Fallback::Bytes($value)
    };
    (count $value:expr) => {
        $crate::options::table::Fallback::Count($value)
    };
    (seconds $value:expr) => {
        $crate::options::table::Fallback::Seconds($value)
    };
    (hours $value:expr) => {
        $crate::options::table::Fallback::Hours($value)
    };
}

macro_rules! section {
    (
        $(#[doc = $doc:literal])+
        $section:ident as $interface:ident {
            $(
                $(#[doc = $row:literal])+
                $field:ident: $type:ty = $key:literal ($ts:literal) $(or $variable:literal)?,
                    $default:ident($($value:expr),*), $read:expr;
            )*
        }
        $(elsewhere { $($(#[doc = $other:literal])* $name:literal $(($other_ts:literal))?;)* })?
    ) => {
        pub(crate) const SECTION: $crate::options::table::Section = $crate::options::table::Section {
            interface: stringify!($interface),
            doc: &[$($doc),+],
            rows: &[
                $($crate::options::table::Row {
                    key: $key,
                    doc: &[$($row),+],
                    ts: Some($ts),
                    variable: optional!($($variable)?),
                    default: default_of!($default $($value),*),
                },)*
                $($($crate::options::table::Row {
                    key: $name,
                    doc: &[$($other),*],
                    ts: optional!($($other_ts)?),
                    variable: None,
                    default: $crate::options::table::Fallback::Text(""),
                },)*)?
            ],
        };
    };
}

impl Row {
    /// The text of the documentation in one line.
    pub(crate) fn text(&self) -> String {
        joined(self.doc)
    }

    pub(crate) fn is_deprecated(&self) -> bool {
        self.text().starts_with("@deprecated")
    }
}

/// Joins the lines of a comment.
pub(crate) fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

impl Fallback {
    /// The text of the documentation; may be empty.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Required => String::new(),
            Self::Text(text) => (*text).to_owned(),
            Self::Bytes(bytes) => format!("{} MiB", bytes >> 20),
            Self::Count(count) => grouped(*count),
            Self::Seconds(seconds) => format!("{seconds} s"),
            Self::Hours(24) => "1 day".to_owned(),
            Self::Hours(1) => "1 hour".to_owned(),
            Self::Hours(hours) => format!("{hours} hours"),
        }
    }

    /// The value in JavaScript, if it is a number.
    pub(crate) const fn number(&self) -> Option<u64> {
        match self {
            Self::Bytes(number) | Self::Count(number) => Some(*number),
            Self::Seconds(seconds) => Some(*seconds * 1000),
            Self::Hours(hours) => Some(*hours * 3_600_000),
            Self::Required | Self::Text(_) => None,
        }
    }
}

/// Groups digits, as 16384 to `16,384`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
