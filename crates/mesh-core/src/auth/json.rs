//! A parser of untrusted JSON objects: it rejects duplicate members and deep nesting.
//!
//! Two parsers may disagree about which of two duplicate members counts. Then one parser checks a claim, and
//! the other acts on a different one.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A JSON object without duplicate members at any level.
pub(super) type Object = Map<String, Value>;

/// The limit of nesting; `{"cnf":{"jkt":""}}` has 2.
const MAX_DEPTH: u8 = 4;

/// Parses `bytes` as exactly one object; `None` for anything else.
pub(super) fn parse_object(bytes: &[u8]) -> Option<Object> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0 }.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

#[derive(Clone, Copy)]
struct Strict {
    depth: u8,
}

impl Strict {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH { Err(E::custom("too deep")) } else { Ok(Self { depth }) }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate members")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("no number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(seed)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut object = Object::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(seed)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("duplicate member"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_object_as_it_is() {
        let text = r#"{"a":1,"b":-2,"c":1.5,"d":null,"e":[true,"x"],"f":{"g":"h"}}"#;
        let expected: Value = serde_json::from_str(text).unwrap();
        assert_eq!(parse_object(text.as_bytes()).map(Value::Object), Some(expected));
    }

    #[test]
    fn refuses_duplicates_depth_and_what_follows() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"cnf":{"jkt":"x","jkt":"y"}}"#,
            r#"[{"a":{"b":1,"b":1}}]"#,
            r#"{"a":[[[[]]]]}"#,
            r#"{"a":1}{}"#,
            r#"{"a":1} x"#,
            r#"{"a":NaN}"#,
            r#"{"a":01}"#,
            "[]",
            "null",
            "",
            "{",
        ] {
            assert!(parse_object(text.as_bytes()).is_none(), "{text}");
        }
        assert!(parse_object(b"{\"a\":\"\xff\"}").is_none());
        assert!(parse_object(&b"[".repeat(100_000)).is_none());
    }
}
