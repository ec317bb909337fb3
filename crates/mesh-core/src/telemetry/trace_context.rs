//! The trace context of W3C, as it travels in the metadata of a call.

use std::collections::BTreeMap;

/// The limit of metadata with a trace context, in bytes: what JavaScript lets an application use.
const MAX_METADATA: usize = 8000;
const NAME: &str = "traceparent";
const STATE: &str = "tracestate";
const KEY: &[u8] = b"\"traceparent\":\"";
/// `00-` trace `-` span `-` flags.
const LENGTH: usize = 55;

/// A place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: [u8; 16],
    /// The span.
    pub span: [u8; 8],
    /// Whether the trace is recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent`. `None` for a malformed one, which counts as missing.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (head, rest) = text.split_at_checked(LENGTH)?;
        let version = lower_hex::<1>(head.get(..2)?)?[0];
        // A later version may have more behind a dash.
        let ends = rest.is_empty() || (version > 0 && rest[0] == b'-');
        let dashes = [2, 35, 52].into_iter().all(|at| head[at] == b'-');
        let (trace, span) = (lower_hex::<16>(&head[3..35])?, lower_hex::<8>(&head[36..52])?);
        let flags = lower_hex::<1>(&head[53..])?[0];
        let valid = ends && dashes && version != 0xff && trace != [0; 16] && span != [0; 8];
        valid.then_some(Self { trace, span, sampled: flags & 1 == 1 })
    }

    /// The `traceparent`.
    #[must_use]
    pub fn to_text(self) -> [u8; LENGTH] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        // The lengths are twice those of the bytes.
        let _ = hex::encode_to_slice(self.trace, &mut text[3..35]);
        let _ = hex::encode_to_slice(self.span, &mut text[36..52]);
        text[54] += u8::from(self.sampled);
        text
    }

    /// The place that metadata, a JSON object of strings or nothing, names.
    #[must_use]
    pub fn of(metadata: &[u8]) -> Option<Self> {
        match find(metadata) {
            Found::Nothing => None,
            Found::At(_, context) => Some(context),
            Found::Unclear => Self::parse(read(metadata)?.get(NAME)?.as_bytes()),
        }
    }

    /// The metadata with this place instead of the one that it names. `None` if it has no room for it.
    #[must_use]
    pub fn put_into(self, metadata: &[u8]) -> Option<Vec<u8>> {
        let text = self.to_text();
        let changed = match find(metadata) {
            Found::At(at, _) => {
                let mut changed = metadata.to_vec();
                changed[at..at + LENGTH].copy_from_slice(&text);
                changed
            }
            Found::Nothing => appended(metadata, &text),
            Found::Unclear => {
                let mut entries = read(metadata)?;
                // The state belongs to the context beside it.
                if entries.get(NAME).and_then(|found| Self::parse(found.as_bytes())).is_none() {
                    entries.remove(STATE);
                }
                entries.insert(NAME.to_owned(), String::from_utf8_lossy(&text).into_owned());
                serde_json::to_vec(&entries).ok()?
            }
        };
        (changed.len() <= MAX_METADATA.max(metadata.len())).then_some(changed)
    }
}

enum Found {
    /// Metadata without a trace context.
    Nothing,
    /// At these bytes of it.
    At(usize, TraceContext),
    /// It has to be parsed.
    Unclear,
}

fn find(metadata: &[u8]) -> Found {
    if let Some(at) = position(metadata, KEY).map(|at| at + KEY.len())
        && metadata.get(at + LENGTH) == Some(&b'"')
        && let Some(context) = TraceContext::parse(&metadata[at..at + LENGTH])
    {
        return Found::At(at, context);
    }
    if position(metadata, b"trace").is_some() { Found::Unclear } else { Found::Nothing }
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn read(metadata: &[u8]) -> Option<BTreeMap<String, String>> {
    serde_json::from_slice(metadata).ok()
}

/// Metadata without a trace context, with one as its last entry.
fn appended(metadata: &[u8], text: &[u8]) -> Vec<u8> {
    let open = metadata.trim_ascii_end().strip_suffix(b"}").unwrap_or(b"{").trim_ascii_end();
    let comma: &[u8] = if open.ends_with(b"{") { b"" } else { b"," };
    [open, comma, KEY, text, b"\"}"].concat()
}

fn lower_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let is_lower = text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const OTHER: TraceContext = TraceContext { trace: [7; 16], span: [9; 8], sampled: false };

    fn put(metadata: &str) -> Value {
        serde_json::from_slice(&OTHER.put_into(metadata.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_context_is_what_the_standard_says() {
        let context = TraceContext::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(context.to_text(), TEXT.as_bytes());
        assert!(context.sampled);
        let later = TEXT.replace("00-0af", "cc-0af") + "-more";
        assert_eq!(TraceContext::parse(later.as_bytes()), Some(context));
        for wrong in [
            String::new(),
            TEXT.replace("00-0af", "ff-0af"),
            TEXT.to_uppercase(),
            TEXT.to_owned() + "-more",
            TEXT.to_owned() + " ",
            TEXT.replace("b7ad6b7169203331", "0000000000000000"),
            TEXT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            TEXT.replace("-01", "_01"),
            TEXT.replace("-01", "-0g"),
            "é".repeat(28),
        ] {
            assert_eq!(TraceContext::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn it_is_put_into_any_metadata() {
        let own = String::from_utf8(OTHER.to_text().to_vec()).unwrap();
        assert_eq!(put(""), json!({ NAME: own }));
        assert_eq!(put("{}"), json!({ NAME: own }));
        assert_eq!(put("{\"a\":\"b\"} "), json!({ "a": "b", NAME: own }));
        assert_eq!(
            put(&format!("{{\"{NAME}\":\"{TEXT}\",\"{STATE}\":\"k=v\"}}")),
            json!({ NAME: own, STATE: "k=v" })
        );
        // A malformed one counts as missing, and so does its state.
        assert_eq!(put(&format!("{{\"{NAME}\":\"x\",\"{STATE}\":\"k=v\"}}")), json!({ NAME: own }));
        let spaced = format!("{{ \"{NAME}\" : \"{TEXT}\", \"{STATE}\":\"k=v\" }}");
        assert_eq!(TraceContext::of(spaced.as_bytes()), TraceContext::parse(TEXT.as_bytes()));
        assert_eq!(put(&spaced), json!({ NAME: own, STATE: "k=v" }));
        // A value that looks like an entry is a value.
        let quoted = json!({ "a": format!("\"{NAME}\":\"{TEXT}\"") }).to_string();
        assert_eq!(TraceContext::of(quoted.as_bytes()), None);
        assert_eq!(put(&quoted)[NAME], json!(own));
    }

    #[test]
    fn metadata_stays_within_its_limit() {
        let full = json!({ "a": "x".repeat(7_960) }).to_string();
        assert_eq!(OTHER.put_into(full.as_bytes()), None);
        let replaced = json!({ "a": "x".repeat(7_900), NAME: TEXT }).to_string();
        assert_eq!(OTHER.put_into(replaced.as_bytes()).map(|it| it.len()), Some(replaced.len()));
    }
}
