//! The list of instances that a provider of discovery reports. It comes from elsewhere: everything in it is
//! checked and bounded before any of it is kept.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use super::{Address, DiscoveryError, Endpoint};
use crate::id::ServiceId;

/// The most instances of one service.
pub const MAX_INSTANCES: usize = 1000;
/// The most characters of a zone.
const MAX_ZONE: usize = 128;
/// The most entries of the metadata of an instance, and the most bytes of all of them.
const MAX_METADATA: usize = 64;
const MAX_METADATA_BYTES: usize = 8192;

/// Reads the instances of a service from a JSON array of `{ host, port, zone?, weight?, metadata? }`. Of
/// several at one address the first counts. A report cannot bring a key: it is not trusted.
///
/// # Errors
/// [`DiscoveryError::Report`] with the path of the value that is wrong; nothing is kept then.
pub fn instances<Key>(id: &ServiceId, report: &Value) -> Result<Vec<Endpoint<Key>>, DiscoveryError> {
    let Value::Array(list) = report else { return Err(wrong("instances must be an array")) };
    if list.len() > MAX_INSTANCES {
        return Err(wrong(&format!("instances must be at most {MAX_INSTANCES}, got {}", list.len())));
    }
    let mut seen = HashSet::new();
    let mut instances = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        let endpoint = endpoint(id, value).map_err(|text| wrong(&format!("instances[{index}]{text}")))?;
        if seen.insert(endpoint.address.clone()) {
            instances.push(endpoint);
        }
    }
    Ok(instances)
}

/// Checks one entry of such a list, for a source whose entries have different writers.
///
/// # Errors
/// The fault, beginning with the path in the entry, as in `.port must be 1…65535`.
pub fn check_instance(value: &Value) -> Result<(), String> {
    let Ok(id) = "any".parse() else { return Ok(()) };
    endpoint::<()>(&id, value).map(|_| ())
}

fn endpoint<Key>(id: &ServiceId, value: &Value) -> Result<Endpoint<Key>, String> {
    let Value::Object(fields) = value else { return Err(" must be an object".to_owned()) };
    let host = fields.get("host").and_then(Value::as_str).ok_or(".host must be a string")?;
    let port = fields.get("port").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
    let address = Address::new(host, port.unwrap_or(0)).map_err(|error| format!(".{error}"))?;
    let zone = zone(fields).ok_or(".zone must be a string of 1…128 characters")?;
    let weight = weight(fields).ok_or(".weight must be a whole number, 1…65535")?;
    let metadata = metadata(fields).ok_or(".metadata must be an object of at most 64 strings and 8 KiB")?;
    Ok(Endpoint { id: id.clone(), address, public_key: None, zone, weight, metadata })
}

fn wrong(text: &str) -> DiscoveryError {
    DiscoveryError::Report(text.to_owned())
}

#[allow(clippy::option_option, reason = "an absent zone is good, a wrong one is not")]
fn zone(fields: &Map<String, Value>) -> Option<Option<String>> {
    match fields.get("zone") {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(zone)) if (1..=MAX_ZONE).contains(&zone.chars().count()) => {
            Some(Some(zone.clone()))
        }
        Some(_) => None,
    }
}

fn weight(fields: &Map<String, Value>) -> Option<u32> {
    match fields.get("weight") {
        None | Some(Value::Null) => Some(1),
        Some(value) => value
            .as_u64()
            .and_then(|weight| u16::try_from(weight).ok())
            .filter(|weight| *weight > 0)
            .map(u32::from),
    }
}

fn metadata(fields: &Map<String, Value>) -> Option<BTreeMap<String, String>> {
    let entries = match fields.get("metadata") {
        None | Some(Value::Null) => return Some(BTreeMap::new()),
        Some(Value::Object(entries)) if entries.len() <= MAX_METADATA => entries,
        Some(_) => return None,
    };
    let bytes = |(name, value): (&String, &Value)| name.len() + value.as_str().map_or(0, str::len);
    if entries.iter().map(bytes).sum::<usize>() > MAX_METADATA_BYTES {
        return None;
    }
    entries.iter().map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(report: &Value) -> Result<Vec<Endpoint<()>>, DiscoveryError> {
        instances(&"orders".parse().unwrap(), report)
    }

    #[test]
    fn a_report_is_read() {
        let report = json!([
            { "host": "10.0.0.1", "port": 1, "zone": "a", "weight": 3, "metadata": { "v": "2" } },
            { "host": "::1", "port": 65_535, "publicKey": "ignored" },
            { "host": "10.0.0.1", "port": 1 },
        ]);
        let found = read(&report).unwrap();
        let shown: Vec<_> = found.iter().map(|one| (one.address.to_string(), one.weight)).collect();
        assert_eq!(shown, [("10.0.0.1:1".to_owned(), 3), ("[::1]:65535".to_owned(), 1)]);
        assert_eq!(found[0].zone.as_deref(), Some("a"));
        assert_eq!(found[0].metadata["v"], "2");
        assert!(found.iter().all(|one| one.public_key.is_none()));
    }

    #[test]
    fn a_hostile_report_is_refused_whole() {
        let good = json!({ "host": "a", "port": 1 });
        let with = |key: &str, value: Value| {
            let mut one = good.clone();
            one[key] = value;
            json!([good, one])
        };
        let many: Map<_, _> = (0..65).map(|number| (number.to_string(), json!("x"))).collect();
        let reports = [
            (json!({}), "instances must be an array"),
            (json!(vec![good.clone(); MAX_INSTANCES + 1]), "instances must be at most 1000, got 1001"),
            (json!(["a:1"]), "instances[0] must be an object"),
            (with("host", json!(7)), "instances[1].host must be a string"),
            (with("host", json!("http://a")), "instances[1].host must be a DNS name"),
            (with("host", json!("a".repeat(300))), "instances[1].host must be a DNS name"),
            (with("port", json!(0)), "instances[1].port must be 1…65535"),
            (with("port", json!(65_536)), "instances[1].port must be 1…65535"),
            (with("port", json!("1")), "instances[1].port must be 1…65535"),
            (with("zone", json!("")), "instances[1].zone must be"),
            (with("zone", json!("z".repeat(129))), "instances[1].zone must be"),
            (with("weight", json!(0)), "instances[1].weight must be"),
            (with("weight", json!(1.5)), "instances[1].weight must be"),
            (with("metadata", json!([])), "instances[1].metadata must be"),
            (with("metadata", json!({ "a": 1 })), "instances[1].metadata must be"),
            (with("metadata", json!({ "a": "x".repeat(8192) })), "instances[1].metadata must be"),
            (with("metadata", Value::Object(many)), "instances[1].metadata must be"),
        ];
        for (report, expected) in reports {
            let error = read(&report).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error} for {expected}");
        }
    }
}
