//! Reads options out of JSON. Every error names the full path of its option.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::error::ConfigError;
use super::nearest::nearest;
use crate::{
    clock::Timestamp,
    duration,
    id::{ID_RULE, ServiceId},
};

/// An object of options whose keys have been checked.
pub(super) struct Options<'a> {
    path: String,
    map: Option<&'a Map<String, Value>>,
}

impl<'a> Options<'a> {
    pub(super) fn root(value: &'a Value, known: &[&str]) -> Result<Self, ConfigError> {
        Self::new(String::new(), value, known)
    }

    pub(super) fn new(path: String, value: &'a Value, known: &[&str]) -> Result<Self, ConfigError> {
        let Value::Object(map) = value else {
            let path = if path.is_empty() { "the configuration".to_owned() } else { path };
            return Err(ConfigError::Value { path, expected: "an object".to_owned(), got: describe(value) });
        };
        let options = Self { path, map: Some(map) };
        for key in map.keys() {
            if !known.contains(&key.as_str()) {
                let suggestion = nearest(key, known).map(|key| options.path_of(key));
                return Err(ConfigError::Unknown { path: options.path_of(key), suggestion });
            }
        }
        Ok(options)
    }

    /// Whether the option is present.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// No options.
    pub(super) const fn none() -> Self {
        Self { path: String::new(), map: None }
    }

    /// Whether the object itself is absent.
    pub(super) fn is_absent(&self) -> bool {
        self.map.is_none()
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.map?.get(key)
    }

    fn error(&self, key: &str, expected: &str, got: String) -> ConfigError {
        ConfigError::Value { path: self.path_of(key), expected: expected.to_owned(), got }
    }

    pub(super) fn wrong(&self, key: &str, expected: &str) -> ConfigError {
        self.error(key, expected, self.get(key).map_or_else(|| "nothing".to_owned(), describe))
    }

    /// The same for a value that no error repeats.
    pub(super) fn wrong_hidden(&self, key: &str, expected: &str) -> ConfigError {
        self.error(key, expected, "a value".to_owned())
    }

    pub(super) fn missing(&self, key: &str, expected: &str) -> ConfigError {
        self.error(key, expected, "nothing".to_owned())
    }

    /// The option, if it is a string.
    pub(super) fn word(&self, key: &str) -> Option<&'a str> {
        self.get(key).and_then(Value::as_str)
    }

    pub(super) fn object(&self, key: &str, known: &[&str]) -> Result<Self, ConfigError> {
        match self.get(key) {
            Some(value) => Self::new(self.path_of(key), value, known),
            None => Ok(Self { path: self.path_of(key), map: None }),
        }
    }
}

/// Looks up a variable.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A string that no error repeats, with the variable if it comes from one.
pub(super) type Confidential = (Option<&'static str>, Zeroizing<String>);

/// One option: its place, and the variable that replaces an absent value.
pub(super) struct At<'a> {
    pub(super) options: &'a Options<'a>,
    pub(super) key: &'static str,
    pub(super) variable: Option<&'static str>,
    pub(super) env: Env<'a>,
}

impl<'a> At<'a> {
    pub(super) fn path(&self) -> String {
        self.options.path_of(self.key)
    }

    fn value(&self) -> Option<&'a Value> {
        self.options.get(self.key)
    }

    pub(super) fn wrong(&self, expected: &str) -> ConfigError {
        self.options.wrong(self.key, expected)
    }

    pub(super) fn missing(&self, expected: &str) -> ConfigError {
        self.options.missing(self.key, expected)
    }

    /// Whether the option is not there.
    pub(super) fn is_absent(&self) -> bool {
        self.value().is_none()
    }

    /// Whether the option is `true`.
    pub(super) fn is_true(&self) -> bool {
        self.value() == Some(&Value::Bool(true))
    }

    /// Whether the option is `false`.
    pub(super) fn is_false(&self) -> bool {
        self.value() == Some(&Value::Bool(false))
    }

    /// The nested options of this one.
    pub(super) fn object(&self, known: &[&str]) -> Result<Options<'a>, ConfigError> {
        self.options.object(self.key, known)
    }

    /// The value of the variable.
    pub(super) fn variable(&self) -> Option<String> {
        (self.env)(self.variable?)
    }

    pub(super) fn wrong_variable(&self, expected: &str, got: String) -> ConfigError {
        ConfigError::Value {
            path: self.variable.unwrap_or_default().to_owned(),
            expected: expected.to_owned(),
            got: describe(&Value::String(got)),
        }
    }

    pub(super) fn string(&self) -> Result<Option<String>, ConfigError> {
        match self.value() {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
            Some(Value::String(_)) => Err(self.wrong("a string that is not empty")),
            Some(_) => Err(self.wrong("a string")),
        }
    }

    /// A string that no error repeats.
    pub(super) fn confidential(&self) -> Result<Option<Confidential>, ConfigError> {
        Ok(match self.value() {
            None => self.variable().map(|text| (self.variable, text.into())),
            Some(Value::String(text)) => Some((None, text.clone().into())),
            Some(value) => return Err(self.options.error(self.key, "a string", kind(value).to_owned())),
        })
    }

    /// A value of the wrong form that no error repeats.
    pub(super) fn malformed(&self, expected: &str) -> ConfigError {
        self.options.error(self.key, expected, "another text".to_owned())
    }

    /// A service id.
    pub(super) fn service_id(&self) -> Result<Option<ServiceId>, ConfigError> {
        let Some(text) = self.string()? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let nearest = ServiceId::nearest(&text).map(|id| format!(", as in '{id}'")).unwrap_or_default();
            self.wrong(&format!("{ID_RULE}{nearest}"))
        })
    }

    /// A host name or an address.
    pub(super) fn host(&self) -> Result<Option<String>, ConfigError> {
        let Some(host) = self.string()? else {
            return match self.variable() {
                Some(host) if !is_host(&host) => Err(self
                    .wrong_variable("a host name or an IP address, without brackets, scheme or port", host)),
                host => Ok(host),
            };
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        match bare {
            Some(address) if is_host(address) => {
                Err(self.wrong(&format!("an address without brackets, as in '{address}'")))
            }
            _ if is_host(&host) => Ok(Some(host)),
            _ => Err(self.wrong("a host name or an IP address, without a scheme, port or path")),
        }
    }

    /// A port, also as a string of digits. A variable with a value such as `tcp://10.0.0.1:50051`
    /// is ignored: Kubernetes sets `SECURE_MESH_PORT` to it in every pod if there is a Service
    /// named `secure-mesh`.
    pub(super) fn port(&self, min: u16) -> Result<Option<u16>, ConfigError> {
        let number = match self.value() {
            None => {
                return match self.variable() {
                    None => Ok(None),
                    Some(text) => match text.parse() {
                        Ok(port) => Ok(Some(port)),
                        Err(_) if is_service_link(&text) => Ok(None),
                        Err(_) => Err(self.wrong_variable(&format!("{min}…65535"), text)),
                    },
                };
            }
            Some(Value::String(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            Some(value) => value.as_u64().and_then(|number| u16::try_from(number).ok()),
        };
        match number {
            Some(port) if port >= min => Ok(Some(port)),
            _ => Err(self.wrong(&format!("{min}…65535"))),
        }
    }

    pub(super) fn strings(&self) -> Result<Option<BTreeMap<String, String>>, ConfigError> {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match self.value() {
            None => Ok(None),
            Some(Value::Object(map)) => {
                Ok(Some(map.iter().map(|(name, value)| (name.clone(), text(value))).collect()))
            }
            Some(_) => Err(self.wrong("an object")),
        }
    }

    pub(super) fn integer(&self, min: u32, max: u32) -> Result<Option<u32>, ConfigError> {
        let Some(value) = self.value() else { return Ok(None) };
        match value.as_u64().and_then(|number| u32::try_from(number).ok()) {
            Some(number) if (min..=max).contains(&number) => Ok(Some(number)),
            _ => Err(self.wrong(&format!("{min}…{max}"))),
        }
    }

    /// A whole number of at least `floor`, and at least `factor` times the option `other`. `default` is
    /// the value of an absent `other`.
    pub(super) fn multiple_of(
        &self,
        other: &str,
        default: u64,
        factor: u64,
        floor: u64,
    ) -> Result<Option<u64>, ConfigError> {
        const MAX: u64 = 1 << 40;
        let Some(value) = self.value() else { return Ok(None) };
        let least = factor * self.options.get(other).and_then(Value::as_u64).unwrap_or(default);
        let min = least.max(floor);
        match value.as_u64() {
            Some(number) if (min..=MAX).contains(&number) => Ok(Some(number)),
            _ => {
                let other = self.options.path_of(other);
                Err(self.wrong(&format!("{min}…{MAX}: {factor} times {other}, and {floor}, or more")))
            }
        }
    }

    /// Whole milliseconds, at least one.
    pub(super) fn millis(&self, max: Duration) -> Result<Option<Duration>, ConfigError> {
        let max = u32::try_from(max.as_millis()).unwrap_or(u32::MAX);
        Ok(self.integer(1, max)?.map(|ms| Duration::from_millis(ms.into())))
    }

    pub(super) fn one_of(&self, choices: &[u32]) -> Result<Option<u32>, ConfigError> {
        let Some(value) = self.value() else { return Ok(None) };
        let chosen = value.as_u64().and_then(|number| choices.iter().find(|c| u64::from(**c) == number));
        chosen.copied().map(Some).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(ToString::to_string).collect();
            self.wrong(&names.join(" or "))
        })
    }

    /// A number that need not be whole.
    pub(super) fn number(&self, min: f64, max: f64) -> Result<Option<f64>, ConfigError> {
        let Some(value) = self.value() else { return Ok(None) };
        let number = value.as_f64().filter(|number| (min..=max).contains(number));
        number.map(Some).ok_or_else(|| self.wrong(&format!("a number from {min} to {max}")))
    }

    pub(super) fn boolean(&self) -> Result<Option<bool>, ConfigError> {
        let Some(value) = self.value() else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.wrong("true or false"))
    }

    /// One of a few words, each of which stands for a value.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<Option<T>, ConfigError> {
        let Some(word) = self.string()? else { return Ok(None) };
        let chosen = choices.iter().find(|(name, _)| *name == word);
        chosen.map(|(_, value)| Some(*value)).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| format!("'{name}'")).collect();
            self.wrong(&names.join(" or "))
        })
    }

    /// The beginning of a day in UTC, as in `2027-03-01`.
    pub(super) fn date(&self) -> Result<Option<Timestamp>, ConfigError> {
        let Some(text) = self.string()? else { return Ok(None) };
        day(&text).map(Some).ok_or_else(|| self.wrong("a date, as in '2027-03-01'"))
    }

    /// A duration of a second or more.
    pub(super) fn duration(&self, max: Duration) -> Result<Option<Duration>, ConfigError> {
        self.time(Duration::from_secs(1), max)
    }

    /// A duration: milliseconds, or a string such as `'15m'`.
    pub(super) fn time(&self, min: Duration, max: Duration) -> Result<Option<Duration>, ConfigError> {
        let good = |time: &Duration| (min..=max).contains(time);
        let Some(value) = self.value() else {
            let Some(text) = self.variable() else { return Ok(None) };
            let parsed = text.parse().map(Duration::from_millis).ok().or_else(|| duration::parse(&text).ok());
            return parsed.filter(good).map(Some).ok_or_else(|| {
                self.wrong_variable("a duration, in milliseconds or as in '15m' and '1h'", text)
            });
        };
        let parsed = match value {
            Value::String(text) => duration::parse(text).ok(),
            value => value.as_u64().map(Duration::from_millis),
        };
        parsed.filter(good).map(Some).ok_or_else(|| {
            self.wrong(&format!(
                "a duration of {} ms to {} days, in milliseconds or as in '15m' and '1h'",
                min.as_millis(),
                max.as_secs() / 86_400
            ))
        })
    }

    /// An array of at most `most` strings. `parse` returns `None` for an invalid one.
    pub(super) fn each_text<T>(
        &self,
        most: usize,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Vec<T>>, ConfigError> {
        let Some(value) = self.value() else { return Ok(None) };
        let Value::Array(items) = value else { return Err(self.wrong("an array of strings")) };
        self.check_length(items, most)?;
        let item = |(index, item): (usize, &Value)| {
            let parsed = item.as_str().and_then(&parse);
            parsed.ok_or_else(|| self.wrong_item(index, "", expected, item))
        };
        items.iter().enumerate().map(item).collect::<Result<_, _>>().map(Some)
    }

    /// An object of one to `most` strings.
    pub(super) fn texts(&self, most: usize) -> Result<Option<BTreeMap<String, String>>, ConfigError> {
        let Some(value) = self.value() else { return Ok(None) };
        let wrong = || self.wrong(&format!("an object of 1…{most} strings"));
        let map = value.as_object().filter(|map| (1..=most).contains(&map.len())).ok_or_else(wrong)?;
        let text = |(name, value): (&String, &Value)| {
            let text = value.as_str().map(|text| (name.clone(), text.to_owned()));
            text.ok_or_else(|| ConfigError::Value {
                path: format!("{}.{name}", self.path()),
                expected: "a string".to_owned(),
                got: describe(value),
            })
        };
        map.iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// The absolute path of a file.
    pub(super) fn absolute_path(&self) -> Result<Option<PathBuf>, ConfigError> {
        let Some(path) = self.string()?.map(PathBuf::from) else { return Ok(None) };
        if path.is_absolute() { Ok(Some(path)) } else { Err(self.wrong("the absolute path of a file")) }
    }

    /// The error for an element of an array, or for one of its options, given as `.key`.
    pub(super) fn wrong_item(&self, index: usize, key: &str, expected: &str, got: &Value) -> ConfigError {
        let path = format!("{}[{index}]{key}", self.path());
        ConfigError::Value { path, expected: expected.to_owned(), got: describe(got) }
    }

    fn check_length(&self, items: &[Value], most: usize) -> Result<(), ConfigError> {
        if items.len() <= most {
            return Ok(());
        }
        let expected = format!("an array of at most {most} elements");
        Err(self.options.error(self.key, &expected, format!("{} of them", items.len())))
    }

    /// An array of at most `most` objects with options of their own.
    pub(super) fn each_of<T>(
        &self,
        known: &[&str],
        most: usize,
        read: impl Fn(&Options<'_>, Env<'_>) -> Result<T, ConfigError>,
    ) -> Result<Vec<T>, ConfigError> {
        if let Some(Value::Array(items)) = self.value() {
            self.check_length(items, most)?;
        }
        self.each(known, read)
    }

    /// An array of objects with options of their own.
    pub(super) fn each<T>(
        &self,
        known: &[&str],
        read: impl Fn(&Options<'_>, Env<'_>) -> Result<T, ConfigError>,
    ) -> Result<Vec<T>, ConfigError> {
        let Some(value) = self.value() else { return Ok(Vec::new()) };
        let Value::Array(items) = value else { return Err(self.wrong("an array")) };
        let path = self.path();
        items
            .iter()
            .enumerate()
            .map(|(index, item)| read(&Options::new(format!("{path}[{index}]"), item, known)?, self.env))
            .collect()
    }
}

/// The beginning of the day `YYYY-MM-DD` in UTC, from 1970 on.
fn day(text: &str) -> Option<Timestamp> {
    let mut parts = text.split('-').map(|part| {
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<u64>().ok()).flatten()
    });
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let february = if is_leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = months.get(..usize::try_from(month).ok()?.checked_sub(1)?)?;
    let length = *months.get(before.len())?;
    if text.len() != 10 || parts.next().is_some() || year < 1970 || !(1..=length).contains(&day) {
        return None;
    }
    let years: u64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    Some(Timestamp::from_secs((years + before.iter().sum::<u64>() + day - 1) * 86_400))
}

/// Whether `text` is the address of a Service, as Kubernetes writes it into a variable.
fn is_service_link(text: &str) -> bool {
    let address = ["tcp://", "udp://", "sctp://"].iter().find_map(|protocol| text.strip_prefix(protocol));
    address.is_some_and(|address| address.parse::<SocketAddr>().is_ok())
}

/// Whether `host` is a host name or an address, as the authority of a URI may contain it.
pub(super) fn is_host(host: &str) -> bool {
    let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    host.len() <= 253 && (host.parse::<IpAddr>().is_ok() || host.bytes().all(name))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A value as an error shows it: short, on one line, escaped.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => kind(value).to_owned(),
        value => {
            let text = value.to_string();
            match text.char_indices().nth(60) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            }
        }
    }
}
