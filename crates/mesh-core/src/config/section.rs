//! A section of options as a table. Each row has the documentation, the field, the
//! option's name, its type in JavaScript, the environment variable that replaces an
//! absent option, the default, and the check. `xtask` reads the same tables and writes
//! the types of JavaScript and `docs/options.md` from them, so a file with a table
//! holds nothing else.
//!
//! ```text
//! section! {
//!     /// The section.
//!     Section as InterfaceOfJavaScript {
//!         /// The option.
//!         field: Type = "key" ("type") or "VARIABLE", default(value), |at| at.check();
//!     }
//!     elsewhere {
//!         /// An option that the core knows by name only.
//!         "key" ("type");
//!     }
//! }
//! ```

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
        #[allow(unused_imports, reason = "each section uses some")]
        use super::section::prelude::*;

        $(#[doc = $doc])+
        #[derive(Clone, Debug)]
        #[allow(unreachable_pub, reason = "only some sections are public")]
        pub struct $section { $($(#[doc = $row])+ pub $field: $type,)* }

        #[allow(clippy::redundant_closure_for_method_calls, reason = "a method is less general")]
        impl $section {
            /// The options of this section.
            pub(super) const KEYS: &[&str] = &[$($key,)* $($($name,)*)?];

            /// Checks the options and fills in the defaults.
            pub(super) fn read(options: &Options<'_>, env: Env<'_>) -> Result<Self, ConfigError> {
                Ok(Self {
                    $($field: {
                        let read: fn(&At<'_>) -> Result<Option<$type>, ConfigError> = $read;
                        let at = At { options, key: $key, variable: None$(.or(Some($variable)))?, env };
                        match read(&at)? {
                            Some(value) => value,
                            None => default::$default(&at, $($value),*)?,
                        }
                    },)*
                })
            }
        }
    };
}

/// The names that tables use.
pub(super) mod prelude {
    pub(in super::super) use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

    pub(in super::super) use super::super::{
        accept::WeakerTrust,
        admin_port::AdminToken,
        caller_place::CallerPlace,
        collector::{Collector, Header},
        conditions::Conditions,
        ejection::Ejection,
        error::ConfigError,
        material::Material,
        password::Password,
        patterns::{CallerPattern, MethodPattern},
        places::endpoint,
        policy::{Effect, MAX_CONDITIONS, Mode, Rule},
        private_key::PrivateKey,
        read::{At, Env, Options},
        secret::{JoinSecret, Secret},
        selection::Selection,
        server_url::ServerUrl,
        service::Service,
        sources::Records,
        workload::socket,
    };
    pub(in super::super) use super::{DAY, HOUR, MEMORY_PER_MESSAGE, MONTH, default};
    pub(in super::super) use crate::{clock::Timestamp, id::ServiceId};
}

use std::time::Duration;

pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const DAY: Duration = Duration::from_hours(24);
pub(super) const MONTH: Duration = Duration::from_hours(30 * 24);
/// The least room of the memory budget, in messages of the largest size. A
/// session may hold a few of them at once, each as bytes and as a JSON value.
pub(super) const MEMORY_PER_MESSAGE: u64 = 16;

/// Constructors of defaults. Each names the unit in which the documentation shows the value.
#[allow(clippy::unnecessary_wraps, reason = "one of them can fail")]
pub(super) mod default {
    use std::time::Duration;

    use super::super::{error::ConfigError, read::At};

    pub(in super::super) fn bytes(_: &At<'_>, value: u32) -> Result<u32, ConfigError> {
        Ok(value)
    }

    pub(in super::super) fn count(_: &At<'_>, value: u32) -> Result<u32, ConfigError> {
        Ok(value)
    }

    pub(in super::super) fn seconds(_: &At<'_>, value: u64) -> Result<Duration, ConfigError> {
        Ok(Duration::from_secs(value))
    }

    pub(in super::super) fn hours(_: &At<'_>, value: u64) -> Result<Duration, ConfigError> {
        Ok(Duration::from_hours(value))
    }

    /// No value; the string documents the effect of that.
    pub(in super::super) fn absent<T>(_: &At<'_>, _: &str) -> Result<Option<T>, ConfigError> {
        Ok(None)
    }

    /// A value that the documentation shows as this string.
    pub(in super::super) fn shown<T>(_: &At<'_>, value: T, _: &str) -> Result<T, ConfigError> {
        Ok(value)
    }

    /// No default: an absent option is an error.
    pub(in super::super) fn required<T>(at: &At<'_>, expected: &str) -> Result<T, ConfigError> {
        Err(at.missing(expected))
    }
}
