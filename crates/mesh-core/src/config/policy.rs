//! Policies: rules about which callers may call which methods, as options or as a file.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    authorization::Authorization,
    conditions::Conditions,
    error::ConfigError,
    patterns::{CallerPattern, MethodPattern},
    read::{At, Env, Options},
    rules::RuleOptions,
};
use crate::{
    error::{Code, Coded, Reason},
    json,
};

/// The largest policy file, in bytes.
pub const MAX_POLICY_FILE: usize = 4 << 20;
/// The most rules of a policy.
pub const MAX_RULES: usize = 10_000;
/// The most pairs of an element of `from` and one of `to`, in all rules together. It limits the size of
/// the index of rules.
pub const MAX_PAIRS: usize = 500_000;
/// The most conditions of one rule.
pub(super) const MAX_CONDITIONS: usize = 64;
/// The limit of nesting in a policy file; a rule with conditions has 5.
const MAX_DEPTH: u8 = 16;
/// The longest name of a rule.
const MAX_NAME: usize = 128;

/// The outcome of a decision about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The request goes to its handler.
    Allow,
    /// The request is refused.
    Deny,
}

impl Effect {
    pub(super) fn read(at: &At<'_>) -> Result<Option<Self>, ConfigError> {
        at.choice(&[("deny", Self::Deny), ("allow", Self::Allow)])
    }
}

/// Whether denials take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A denied request is refused.
    Enforce,
    /// A denial is recorded, and the request goes to its handler.
    Audit,
}

impl Mode {
    pub(super) fn read(at: &At<'_>) -> Result<Option<Self>, ConfigError> {
        at.choice(&[("enforce", Self::Enforce), ("audit", Self::Audit)])
    }

    /// The value of the option.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Audit => "audit",
        }
    }
}

/// A rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `name`, or the place of the rule, as in `rules[3]`.
    pub name: String,
    /// `from`: the callers; any of them matches.
    pub from: Vec<CallerPattern>,
    /// `to`: the methods; any of them matches.
    pub to: Vec<MethodPattern>,
    /// `except`: methods that the rule does not match.
    pub except: Vec<MethodPattern>,
    /// `when.metadata`: names and values that the request must carry, all of them.
    pub metadata: Vec<(String, String)>,
    /// `allow`, or `deny` with the option of that name.
    pub effect: Effect,
}

impl Rule {
    pub(super) fn list(at: &At<'_>) -> Result<Option<Vec<Self>>, ConfigError> {
        let mut rules = at.each_of(RuleOptions::KEYS, MAX_RULES, Self::read)?;
        let mut names = HashSet::new();
        let mut pairs = 0;
        for (index, rule) in rules.iter_mut().enumerate() {
            if rule.name.is_empty() {
                rule.name = format!("rules[{index}]");
            }
            if !names.insert(rule.name.clone()) {
                let expected = "a name that no other rule has";
                return Err(at.wrong_item(index, ".name", expected, &Value::from(rule.name.as_str())));
            }
            pairs += rule.from.len() * rule.to.len();
            if pairs > MAX_PAIRS {
                let most = format!("rules with at most {MAX_PAIRS} pairs of from and to, all together");
                return Err(at.wrong(&most));
            }
        }
        Ok(Some(rules))
    }

    /// An optional name is empty here until the place of the rule is known.
    fn read(options: &Options<'_>, env: Env<'_>) -> Result<Self, ConfigError> {
        let RuleOptions { name, from, to, except, when, deny } = RuleOptions::read(options, env)?;
        for (key, empty) in [("from", from.is_empty()), ("to", to.is_empty())] {
            if empty {
                return Err(options.wrong(key, "an array with at least one element"));
            }
        }
        Ok(Self {
            name: name.unwrap_or_default(),
            from,
            to,
            except,
            metadata: when.into_iter().collect(),
            effect: if deny { Effect::Deny } else { Effect::Allow },
        })
    }

    pub(super) fn name(at: &At<'_>) -> Result<Option<String>, ConfigError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-' | '/');
        match at.string()? {
            Some(name) if name.len() <= MAX_NAME && name.chars().all(allowed) => Ok(Some(name)),
            Some(_) => Err(at.wrong("1 to 128 ASCII letters, digits, spaces, '.', '_', '-' or '/'")),
            None => Ok(None),
        }
    }
}

impl Conditions {
    /// Reads the conditions of a rule: the metadata that it requires.
    pub(super) fn of(at: &At<'_>) -> Result<Option<BTreeMap<String, String>>, ConfigError> {
        let options = at.options.object(at.key, Self::KEYS)?;
        if options.is_absent() {
            return Ok(None);
        }
        Ok(Some(Self::read(&options, at.env)?.metadata))
    }
}

/// A policy, from the options of `authorization` or from a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRules {
    /// The decision where no rule matches.
    pub default: Effect,
    /// Whether denials take effect.
    pub mode: Mode,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// The place of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicySource {
    /// In the options.
    Options(PolicyRules),
    /// In a file.
    File(PathBuf),
}

/// A fault of a policy file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFileError {
    /// It is not JSON.
    #[error("{} is not JSON: {detail}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's message.
        detail: String,
    },
    /// An option in it is wrong.
    #[error("{}: {source}", path.display())]
    Option {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: ConfigError,
    },
}

impl Coded for PolicyFileError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }

    fn reason(&self) -> Reason {
        Reason::File
    }
}

impl PolicySource {
    /// Reads `authorization`; `None` if the section is absent.
    pub(super) fn read(root: &Options<'_>, env: Env<'_>) -> Result<Option<Self>, ConfigError> {
        let options = root.object("authorization", Authorization::KEYS)?;
        if options.is_absent() {
            return Ok(None);
        }
        let Authorization { default, mode, rules, file } = Authorization::read(&options, env)?;
        let Some(file) = file else {
            let otherwise = if rules.is_empty() { Effect::Allow } else { Effect::Deny };
            let default = default.unwrap_or(otherwise);
            return Ok(Some(Self::Options(PolicyRules { default, mode, rules })));
        };
        // Options beside a file would be a second policy, which its author could overlook.
        for key in ["default", "mode", "rules"] {
            if options.has(key) {
                return Err(options.wrong(key, "in the file that authorization.file names, not here"));
            }
        }
        Ok(Some(Self::File(file)))
    }
}

impl PolicyRules {
    /// The policy of the file `path`, which holds `bytes`: the options of `authorization`, and `$schema`, which
    /// editors read. A file without `default` denies every request that no rule matches, even if it has no
    /// rules: a file that lost its rules must not permit everything.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `FILE`, with the file and the path of the option in it.
    pub fn of_file(path: &Path, bytes: &[u8]) -> Result<Self, PolicyFileError> {
        // The parser refuses two members with one name, because one of them would be overlooked.
        let value = json::parse(bytes, MAX_DEPTH)
            .map_err(|error| PolicyFileError::Json { path: path.into(), detail: error.to_string() })?;
        Self::of_value(value).map_err(|source| PolicyFileError::Option { path: path.into(), source })
    }

    fn of_value(mut value: Value) -> Result<Self, ConfigError> {
        let known: Vec<_> = Authorization::KEYS.iter().copied().filter(|key| *key != "file").collect();
        if let Value::Object(map) = &mut value {
            map.remove("$schema");
        }
        let options = Options::root(&value, &known)?;
        if !options.has("rules") {
            return Err(options.missing("rules", "an array of rules"));
        }
        let Authorization { default, mode, rules, .. } = Authorization::read(&options, &|_| None)?;
        Ok(Self { default: default.unwrap_or(Effect::Deny), mode, rules })
    }
}
