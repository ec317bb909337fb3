//! Reading options out of JSON, each with its full path in every error.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};

use super::error::ConfigError;
use crate::{
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

    fn new(path: String, value: &'a Value, known: &[&str]) -> Result<Self, ConfigError> {
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

    /// Whether the object is not there at all.
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

    pub(super) fn missing(&self, key: &str, expected: &str) -> ConfigError {
        self.error(key, expected, "nothing".to_owned())
    }

    pub(super) fn object(&self, key: &str, known: &[&str]) -> Result<Self, ConfigError> {
        match self.get(key) {
            Some(value) => Self::new(self.path_of(key), value, known),
            None => Ok(Self { path: self.path_of(key), map: None }),
        }
    }

    pub(super) fn objects(&self, key: &str, known: &[&str]) -> Result<Vec<Self>, ConfigError> {
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .enumerate()
                .map(|(index, item)| Self::new(format!("{}[{index}]", self.path_of(key)), item, known))
                .collect(),
            Some(_) => Err(self.wrong(key, "an array")),
        }
    }

    pub(super) fn string(&self, key: &str) -> Result<Option<String>, ConfigError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
            Some(Value::String(_)) => Err(self.wrong(key, "a string that is not empty")),
            Some(_) => Err(self.wrong(key, "a string")),
        }
    }

    /// A service id.
    pub(super) fn service_id(&self, key: &str) -> Result<ServiceId, ConfigError> {
        let text = self.string(key)?.ok_or_else(|| self.missing(key, "a service id"))?;
        text.parse().map_err(|_| {
            let nearest = ServiceId::nearest(&text).map(|id| format!(", as in '{id}'")).unwrap_or_default();
            self.wrong(key, &format!("{ID_RULE}{nearest}"))
        })
    }

    /// A host name or an address.
    pub(super) fn host(&self, key: &str) -> Result<Option<String>, ConfigError> {
        let Some(host) = self.string(key)? else { return Ok(None) };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        match bare {
            Some(address) if is_host(address) => {
                Err(self.wrong(key, &format!("an address without brackets, as in '{address}'")))
            }
            _ if is_host(&host) => Ok(Some(host)),
            _ => Err(self.wrong(key, "a host name or an IP address, without a scheme, port or path")),
        }
    }

    /// A port, also as the string of digits that an environment variable holds.
    pub(super) fn port(&self, key: &str, min: u16) -> Result<Option<u16>, ConfigError> {
        let number = match self.get(key) {
            None => return Ok(None),
            Some(Value::String(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            Some(value) => value.as_u64().and_then(|number| u16::try_from(number).ok()),
        };
        match number {
            Some(port) if port >= min => Ok(Some(port)),
            _ => Err(self.wrong(key, &format!("{min}…65535"))),
        }
    }

    /// A string that no error repeats.
    pub(super) fn secret(&self, key: &str) -> Result<Option<String>, ConfigError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value) => Err(self.error(key, "a string", kind(value).to_owned())),
        }
    }

    pub(super) fn strings(&self, key: &str) -> Result<BTreeMap<String, String>, ConfigError> {
        match self.get(key) {
            None => Ok(BTreeMap::new()),
            Some(Value::Object(map)) => map
                .iter()
                .map(|(name, value)| match value {
                    Value::String(text) => Ok((name.clone(), text.clone())),
                    other => Ok((name.clone(), other.to_string())),
                })
                .collect(),
            Some(_) => Err(self.wrong(key, "an object")),
        }
    }

    pub(super) fn integer(&self, key: &str, min: u64, max: u64) -> Result<Option<u64>, ConfigError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) if (min..=max).contains(&number) => Ok(Some(number)),
                _ => Err(self.wrong(key, &format!("{min}…{max}"))),
            },
        }
    }

    /// A number that need not be whole.
    pub(super) fn number(&self, key: &str, min: f64, max: f64) -> Result<Option<f64>, ConfigError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) if (min..=max).contains(&number) => Ok(Some(number)),
                _ => Err(self.wrong(key, &format!("a number from {min} to {max}"))),
            },
        }
    }

    pub(super) fn boolean(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(self.wrong(key, "true or false")),
        }
    }

    pub(super) fn one_of(&self, key: &str, choices: &[u32]) -> Result<Option<u32>, ConfigError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => {
                let chosen =
                    value.as_u64().and_then(|number| choices.iter().find(|c| u64::from(**c) == number));
                let names: Vec<_> = choices.iter().map(ToString::to_string).collect();
                chosen.map(|number| Some(*number)).ok_or_else(|| self.wrong(key, &names.join(" or ")))
            }
        }
    }

    /// Milliseconds, or text such as `'15m'`.
    pub(super) fn duration(
        &self,
        key: &str,
        min: Duration,
        max: Duration,
    ) -> Result<Option<Duration>, ConfigError> {
        let parsed = match self.get(key) {
            None => return Ok(None),
            Some(Value::String(text)) => duration::parse(text).ok(),
            Some(value) => value.as_u64().map(Duration::from_millis),
        };
        match parsed {
            Some(time) if (min..=max).contains(&time) => Ok(Some(time)),
            _ => Err(self.wrong(
                key,
                &format!(
                    "a duration of {} ms to {} days, in milliseconds or as in '15m' and '1h'",
                    min.as_millis(),
                    max.as_secs() / 86_400
                ),
            )),
        }
    }
}

/// What `SECURE_MESH_PORT` holds.
pub(super) enum EnvPort {
    Unset,
    Port(u16),
    /// `tcp://10.0.0.1:50051`, which Kubernetes sets in every pod beside a Service
    /// named `secure-mesh`. It is not about this service.
    ServiceLink(String),
}

pub(super) fn env_port(env: &impl Fn(&str) -> Option<String>) -> Result<EnvPort, ConfigError> {
    let name = "SECURE_MESH_PORT";
    let Some(text) = env(name) else { return Ok(EnvPort::Unset) };
    match text.parse() {
        Ok(port) => Ok(EnvPort::Port(port)),
        Err(_) if text.starts_with("tcp://") => Ok(EnvPort::ServiceLink(text)),
        Err(_) => Err(env_error(name, "0…65535", &text)),
    }
}

pub(super) fn env_host(env: &impl Fn(&str) -> Option<String>) -> Result<Option<String>, ConfigError> {
    let name = "SECURE_MESH_HOST";
    match env(name) {
        Some(host) if !is_host(&host) => {
            Err(env_error(name, "a host name or an IP address, without brackets, scheme or port", &host))
        }
        host => Ok(host),
    }
}

pub(super) fn env_duration(
    env: &impl Fn(&str) -> Option<String>,
    name: &str,
    max: Duration,
) -> Result<Option<Duration>, ConfigError> {
    let Some(text) = env(name) else { return Ok(None) };
    let parsed = text.parse().map(Duration::from_millis).ok().or_else(|| duration::parse(&text).ok());
    match parsed {
        Some(time) if (Duration::from_secs(1)..=max).contains(&time) => Ok(Some(time)),
        _ => Err(env_error(name, "a duration, in milliseconds or as in '15m' and '1h'", &text)),
    }
}

fn env_error(name: &str, expected: &str, got: &str) -> ConfigError {
    ConfigError::Value {
        path: name.to_owned(),
        expected: expected.to_owned(),
        got: describe(&Value::String(got.to_owned())),
    }
}

/// A host name or an address: what a URI's authority may hold between `@` and `:`.
pub(super) fn is_host(host: &str) -> bool {
    let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    host.len() <= 253 && (host.parse::<std::net::IpAddr>().is_ok() || host.bytes().all(name))
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
fn describe(value: &Value) -> String {
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

/// The known key that is nearest to `key`, if any is near.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let key = key.to_lowercase();
    known
        .iter()
        .map(|candidate| (edit_distance(&key, &candidate.to_lowercase()), *candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate().take(64) {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
