//! The JSON of tokens.

use serde_json::{Map, Value};

use crate::json;

/// A JSON object without duplicate members at any level.
pub(super) type Object = Map<String, Value>;

/// The limit of nesting; `{"cnf":{"jkt":""}}` has 2.
const MAX_DEPTH: u8 = 4;

/// Parses `bytes` as exactly one object; `None` for anything else.
pub(super) fn parse_object(bytes: &[u8]) -> Option<Object> {
    match json::parse(bytes, MAX_DEPTH).ok()? {
        Value::Object(object) => Some(object),
        _ => None,
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
