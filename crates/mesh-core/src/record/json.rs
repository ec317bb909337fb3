//! The weight of JSON before it is parsed: its depth, and the memory of its
//! values in a JavaScript engine, which is up to thirty times the length of the
//! JSON. The check is one pass over the bytes and allocates nothing.
//!
//! An estimate that is too low is dangerous: it lets a peer fill the heap. An
//! estimate that is a little too high is harmless. The weight of invalid JSON
//! does not matter: the parser stops at the first fault, and up to that fault
//! the estimate counts what the parser sees.

/// The deepest nesting of arrays and objects in a payload.
pub const MAX_DEPTH: usize = 128;

/// Bytes of an array or object, of an item, and of a member, measured with V8
/// in Node 20. Objects with the same members take less.
const CONTAINER: usize = 64;
const ITEM: usize = 16;
const MEMBER: usize = 32;
/// An object with more members than this is taken for a dictionary, whose names are
/// all different: V8 keeps a table of them, and takes a microsecond for each.
const FEW_MEMBERS: u32 = 64;
const DICTIONARY_MEMBER: usize = 224;
/// A string outside Latin-1 takes two bytes for each character.
const TEXT: usize = 2;
/// The bytes that are counted with counters of one byte; no counter can
/// overflow in so few.
const CHUNK: usize = 128;

/// The JSON is nested deeper than [`MAX_DEPTH`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("JSON nested deeper than {MAX_DEPTH} arrays and objects")]
pub struct TooDeep;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    containers: usize,
    commas: usize,
    colons: usize,
    /// Of these, beyond the first few of their object.
    many: usize,
}

impl Counts {
    const fn weight(self, len: usize) -> usize {
        TEXT * len
            + CONTAINER * self.containers
            + ITEM * self.commas
            + MEMBER * self.colons
            + (DICTIONARY_MEMBER - MEMBER) * self.many
    }
}

/// Estimates the bytes that the values in `text` take after parsing.
///
/// # Errors
/// [`TooDeep`].
pub fn weigh(text: &[u8]) -> Result<usize, TooDeep> {
    // This count includes the content of strings, so it is never too low. Most
    // JSON has too few brackets to be deep, and so few values that an exact
    // count would change little.
    let most = count_all(text);
    if most.containers <= MAX_DEPTH && most.many == 0 && most.weight(text.len()) <= 8 * TEXT * text.len() {
        return Ok(most.weight(text.len()));
    }
    let exact = count_outside_strings(text)?;
    Ok(exact.weight(text.len()))
}

/// Counts without regard to strings, at the speed of memory.
fn count_all(text: &[u8]) -> Counts {
    let mut counts = Counts::default();
    for chunk in text.chunks(CHUNK) {
        let (mut containers, mut commas, mut colons) = (0u8, 0u8, 0u8);
        for byte in chunk {
            // The two opening brackets differ in one bit.
            containers += u8::from(byte & 0xdf == b'[');
            commas += u8::from(*byte == b',');
            colons += u8::from(*byte == b':');
        }
        counts.containers += usize::from(containers);
        counts.commas += usize::from(commas);
        counts.colons += usize::from(colons);
    }
    counts.many = counts.colons.saturating_sub(FEW_MEMBERS as usize);
    counts
}

fn count_outside_strings(text: &[u8]) -> Result<Counts, TooDeep> {
    let mut counts = Counts::default();
    let mut depth = 0usize;
    // Members so far of each object that is open.
    let mut members = [0u32; MAX_DEPTH + 1];
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'[' | b'{' => {
                counts.containers += 1;
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(TooDeep);
                }
                members[depth] = 0;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => counts.commas += 1,
            b':' => {
                counts.colons += 1;
                members[depth] = members[depth].saturating_add(1);
                counts.many += usize::from(members[depth] > FEW_MEMBERS);
            }
            b'"' => rest = after_string(rest),
            _ => {}
        }
    }
    Ok(counts)
}

/// Returns the rest after the string whose opening quote directly precedes `text`.
fn after_string(mut text: &[u8]) -> &[u8] {
    loop {
        let Some(end) = text.iter().position(|byte| matches!(byte, b'"' | b'\\')) else { return &[] };
        if text[end] == b'"' {
            return &text[end + 1..];
        }
        text = text.get(end + 2..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Counts the values that a parser finds.
    fn found(value: &Value, counts: &mut Counts) {
        let (len, members) = match value {
            Value::Array(items) => {
                for item in items {
                    found(item, counts);
                }
                (items.len(), 0)
            }
            Value::Object(members) => {
                members.values().for_each(|member| found(member, counts));
                (members.len(), members.len())
            }
            _ => return,
        };
        counts.containers += 1;
        counts.commas += len.saturating_sub(1);
        counts.colons += members;
    }

    fn json() -> impl Strategy<Value = Value> {
        let text = r#"[a-z,:\[\]{}"\\\n€]{0,12}"#;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 200, 10, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..10).prop_map(Value::from),
                prop::collection::vec((text, inner), 0..10)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn depth_is_bounded_and_brackets_in_strings_are_none() {
        let nested = |depth: usize, open: &str, close: &str| {
            [open.repeat(depth), "1".to_owned(), close.repeat(depth)].concat()
        };
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[\"]]\",", "]"), ("[\"\\\"]\",", "]")] {
            assert!(weigh(nested(MAX_DEPTH, open, close).as_bytes()).is_ok(), "{open}");
            assert_eq!(weigh(nested(MAX_DEPTH + 1, open, close).as_bytes()), Err(TooDeep), "{open}");
        }
        assert_eq!(weigh(&vec![b'['; 4 << 20]), Err(TooDeep));
        assert!(weigh(&[b"\"".as_slice(), &vec![b'['; 4 << 20], b"\""].concat()).is_ok());
        assert!(weigh("[]".repeat(1000).as_bytes()).is_ok());
    }

    #[test]
    fn many_values_weigh_more_than_their_text() {
        let of = |item: &str| {
            let text = format!("[{}]", vec![item; 100_000].join(","));
            weigh(text.as_bytes()).unwrap() / text.len()
        };
        assert!(of("{}") > 25, "{}", of("{}"));
        assert!(of("[]") > 25);
        assert!((5..12).contains(&of("1")));
        assert!(of("{\"id\":123456,\"name\":\"somebody\",\"tags\":[\"a\",\"b\"]}") < 8);
        assert!((2..=3).contains(&of("\"a long text, with commas and: colons\"")));
    }

    #[test]
    fn a_dictionary_weighs_more_than_objects_that_are_alike() {
        let members =
            |count: usize| (0..count).map(|name| format!("\"{name}x\":1")).collect::<Vec<_>>().join(",");
        let alike = vec![format!("{{{}}}", members(64)); 1000].join(",");
        let alike = weigh(format!("[{alike}]").as_bytes()).unwrap();
        let dictionary = weigh(format!("{{{}}}", members(64_000)).as_bytes()).unwrap();
        assert!(dictionary > 3 * alike, "{dictionary} {alike}");
        assert!(dictionary > 64_000 * DICTIONARY_MEMBER);
    }

    proptest! {
        #[test]
        fn a_weight_is_that_of_what_a_parser_finds(value in json()) {
            let text = serde_json::to_vec(&value).unwrap();
            let mut expected = Counts::default();
            found(&value, &mut expected);
            prop_assert!(depth(&value) <= MAX_DEPTH);
            prop_assert_eq!(count_outside_strings(&text), Ok(expected));
            prop_assert!(weigh(&text).unwrap() >= expected.weight(text.len()));
        }

        #[test]
        fn any_bytes_are_weighed(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let all = count_all(&bytes);
            if let Ok(exact) = count_outside_strings(&bytes) {
                prop_assert!(exact.weight(bytes.len()) <= all.weight(bytes.len()));
            }
        }
    }
}
