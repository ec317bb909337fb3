//! `security.certificate.workloadApi`: the socket of the SPIFFE Workload API.

use std::path::{Path, PathBuf};

use super::{error::ConfigError, read::At};

/// The variable of the SPIFFE standard. It counts only where the option asks for it: containers often have it for other
/// programs.
const VARIABLE: &str = "SPIFFE_ENDPOINT_SOCKET";
const EXPECTED: &str = "'unix://' and the absolute path of a socket, as in 'unix:///run/spire/agent.sock'";

/// Reads the option: the URI of a socket, or `true` for that of the variable.
pub(super) fn socket(at: &At<'_>) -> Result<Option<PathBuf>, ConfigError> {
    if at.is_absent() || at.is_false() {
        return Ok(None);
    }
    if !at.is_true() {
        let text = at.options.word(at.key);
        return text.and_then(path).map(Some).ok_or_else(|| at.wrong(&format!("{EXPECTED}, or true")));
    }
    let text = (at.env)(VARIABLE).filter(|text| !text.is_empty()).ok_or_else(|| ConfigError::Value {
        path: at.path(),
        expected: format!("{EXPECTED}, or true beside the variable {VARIABLE}"),
        got: format!("true without {VARIABLE}"),
    })?;
    path(&text).map(Some).ok_or_else(|| ConfigError::Value {
        path: VARIABLE.to_owned(),
        expected: EXPECTED.to_owned(),
        got: format!("'{text}'"),
    })
}

/// The path of a URI of a socket. A TCP port is none: everybody on the machine may open one.
fn path(text: &str) -> Option<PathBuf> {
    let rest = text.strip_prefix("unix:")?;
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let plain = !rest.contains(['?', '#', '\0']) && rest.len() > 1 && !rest.ends_with('/');
    (plain && rest.starts_with('/') && Path::new(rest).is_absolute()).then(|| PathBuf::from(rest))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::MeshConfig, *};

    fn read(option: &Value, variable: Option<&str>) -> Result<Option<PathBuf>, String> {
        let config =
            json!({ "serviceId": "orders", "security": { "certificate": { "workloadApi": option } } });
        let env = |name: &str| variable.filter(|_| name == VARIABLE).map(str::to_owned);
        MeshConfig::parse(&config, env)
            .map(|config| config.certificate.and_then(|own| own.workload))
            .map_err(|error| error.to_string())
    }

    #[cfg(unix)]
    #[test]
    fn it_is_the_uri_of_a_socket_or_true_with_the_variable() {
        let socket = Ok(Some(PathBuf::from("/run/spire/agent.sock")));
        assert_eq!(read(&json!("unix:///run/spire/agent.sock"), None), socket);
        assert_eq!(read(&json!("unix:/run/spire/agent.sock"), None), socket);
        assert_eq!(read(&json!(true), Some("unix:///run/spire/agent.sock")), socket);
        for wrong in [
            "",
            "/run/agent.sock",
            "unix://",
            "unix:///",
            "unix://run/agent.sock",
            "unix:agent.sock",
            "unix:///run/agent.sock?x=1",
            "unix:///run/agent.sock#x",
            "unix:///run/",
            "tcp://127.0.0.1:8081",
            "http://x/",
        ] {
            let error = read(&json!(wrong), Some("unix:///run/spire/agent.sock")).unwrap_err();
            assert!(error.contains("security.certificate.workloadApi"), "{error}");
            if !wrong.is_empty() {
                let error = read(&json!(true), Some(wrong)).unwrap_err();
                assert!(error.contains(VARIABLE), "{error}");
            }
        }
        for wrong in [json!(1), json!({}), json!(true)] {
            assert!(read(&wrong, None).unwrap_err().contains("security.certificate.workloadApi"));
        }
    }

    #[test]
    fn the_variable_alone_changes_nothing() {
        let config = json!({ "serviceId": "orders" });
        let env = |name: &str| (name == VARIABLE).then(|| "unix:///run/spire/agent.sock".to_owned());
        assert!(MeshConfig::parse(&config, env).unwrap().certificate.is_none());
    }

    #[test]
    fn other_sources_beside_it_are_refused() {
        let beside = |more: &str| {
            let mut section = json!({ "workloadApi": "unix:///run/agent.sock" });
            section[more] = match more {
                "authority" => json!({ "service": "identity" }),
                _ => json!("/pki/file.pem"),
            };
            let config = json!({ "serviceId": "orders", "security": { "certificate": section } });
            MeshConfig::parse(&config, |_| None).unwrap_err().to_string()
        };
        for more in ["cert", "key", "ca", "crl"] {
            let error = beside(more);
            assert!(error.contains(&format!("security.certificate.{more}")), "{error}");
        }
        assert!(beside("authority").contains("security.certificate.workloadApi"));
    }
}
