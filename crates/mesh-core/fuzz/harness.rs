//! The four harnesses, by the name of their corpus: bytes of a stranger in, and
//! what must hold whatever they are. Used by the fuzz targets, and by the test
//! that replays the corpora (`tests/corpora.rs`).

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use mesh_core::{
    auth::{TokenType, TokenVerifier},
    clock::Timestamp,
    crypto::{
        aead::AesKeySize,
        kdf::Prk,
        mac::MacKey,
        rsa::{KeyPair, Thumbprint},
        secret::Secret,
    },
    handshake::{Expectation, Local, MeshSecret, Parameters, Responder, Retired, Suite, Tickets},
    id::SessionId,
    record::{
        Opened, Opener, RecordError, Sealer,
        message::{Encoded, Message, Messages},
    },
};
use serde_json::Value;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// An instant to count deadlines from. Which one does not matter.
#[allow(clippy::disallowed_methods)]
pub(crate) fn instant() -> Instant {
    Instant::now()
}
const MESH_SECRET: [u8; 32] = [0x5e; 32];
const TRAFFIC_SECRET: [u8; 32] = [7; 32];
const TOKEN_KEY: [u8; 32] = [9; 32];
const MAC_LEN: usize = 32;
/// Larger plaintexts are not well formed.
const MAX_PLAINTEXT: usize = 64 * 1024;

/// The keys of the recorded handshake.
fn recorded() -> &'static (KeyPair, Thumbprint) {
    static KEYS: OnceLock<(KeyPair, Thumbprint)> = OnceLock::new();
    KEYS.get_or_init(|| {
        let vector: Value = serde_json::from_str(include_str!("../tests/vectors/handshake.json")).unwrap();
        let key = |name: &str| KeyPair::from_pkcs8_pem(vector[name].as_str().unwrap()).unwrap();
        (key("server_key"), key("client_key").public_key().thumbprint())
    })
}

fn server() -> Arc<Local> {
    let (key, id) = (recorded().0.clone(), "server".parse().unwrap());
    let secrets = vec![MeshSecret::new(&MESH_SECRET)];
    Arc::new(Local {
        tickets: Arc::new(Tickets::new(&id, &key, &secrets).unwrap()),
        holders: Arc::default(),
        handshake_timeout: Duration::from_secs(10),
        id,
        key,
        secrets,
        retired: Retired::default(),
        succession: None,
        certificate: None,
        suites: vec![Suite::Hybrid, Suite::X25519],
        aes: AesKeySize::Aes256,
        token_lifetime: Duration::from_hours(1),
        parameters: Parameters { max_message: 1 << 22, max_calls: 1024 },
    })
}

/// M1, and then M3: as they are, and with a MAC that a member would make.
pub(crate) fn hello(data: &[u8]) {
    static SERVER: OnceLock<Arc<Local>> = OnceLock::new();
    let server = SERVER.get_or_init(server);
    // The last byte says where M1 ends, in a sixteenth.
    let Some((cut, rest)) = data.split_last() else { return };
    let (m1, m3) = rest.split_at(rest.len() * usize::from(cut % 17) / 16);
    let mut signed = m1.to_vec();
    if let Some(prefix) = m1.len().checked_sub(MAC_LEN) {
        let key: Secret<32> =
            Prk::extract(b"ssm mesh secret v1", &[&MESH_SECRET]).expand_secret("client hello", &[]);
        let mac = MacKey::new(key.as_bytes()).sign(&[&m1[..prefix]]);
        signed[prefix..].copy_from_slice(&mac);
    }
    let before = server.key.private_ops();
    for m1 in [m1, &signed] {
        let expect = |_: &_| Expectation::Unknown;
        if let Ok((m2, state)) = Responder::on_hello(Arc::clone(server), m1, expect, NOW) {
            assert!(m2.len() < 16 * 1024);
            assert!(state.on_finish(m3, NOW).is_err(), "somebody without keys has proved itself");
        }
    }
    assert_eq!(server.key.private_ops(), before, "a private operation for somebody without keys");
}

fn opener() -> Opener {
    Opener::new(Secret::new(TRAFFIC_SECRET), AesKeySize::Aes128, MAX_PLAINTEXT, NOW).unwrap()
}

/// Records as they come; then a peer's records, one of them with a flipped bit.
pub(crate) fn record(data: &[u8]) {
    let mut frame = data.to_vec();
    let (mut input, mut opener) = (&mut frame[..], opener());
    while !input.is_empty() {
        let left = input.len();
        match opener.open(&mut input, NOW) {
            Ok(Opened::Messages(plaintext)) => assert!(plaintext.len() <= MAX_PLAINTEXT),
            Ok(Opened::Rekeyed) => {}
            Err(error) if error.is_survivable() => {}
            Err(_) => break,
        }
        assert!(input.len() < left, "a record of no length");
    }
    tampered(data);
}

fn tampered(data: &[u8]) {
    let Some((&[at, bit], plaintext)) = data.split_first_chunk::<2>() else { return };
    // A record without a message is malformed.
    if plaintext.is_empty() {
        return;
    }
    let plaintext = &plaintext[..plaintext.len().min(MAX_PLAINTEXT)];
    let mut sealer = Sealer::new(Secret::new(TRAFFIC_SECRET), AesKeySize::Aes128, NOW).unwrap();
    let mut opener = opener();
    let mut record = BytesMut::new();
    sealer.seal(&mut record, |out| out.extend_from_slice(plaintext)).unwrap();
    let mut flipped = record.to_vec();
    let position = usize::from(at) * record.len() / 256;
    flipped[position] ^= 1 << (bit % 8);
    let error = opener.open(&mut &mut flipped[..], NOW).unwrap_err();
    assert!(error.is_survivable(), "{error}");
    let mut good = record.to_vec();
    assert_eq!(opener.open(&mut &mut good[..], NOW), Ok(Opened::Messages(plaintext)));
    let mut again = record.to_vec();
    assert_eq!(opener.open(&mut &mut again[..], NOW), Err(RecordError::Replay));
}

/// The plaintext of a record. Its messages are encoded again, and must decode to the same.
pub(crate) fn messages(data: &[u8]) {
    let now = instant();
    let mut total = 0;
    for message in Messages::new(data) {
        let Ok(message) = message else { return };
        total += 1;
        assert!(total <= data.len(), "more messages than bytes");
        let Some((encoded, token)) = encode(&message, now) else { continue };
        let mut out = BytesMut::new();
        encoded.put(&mut out, token, now);
        let mut again = Messages::new(&out);
        assert_eq!(again.next(), Some(Ok(message)));
        assert_eq!(again.next(), None);
    }
}

/// The same message, as this side would write it.
fn encode<'a>(message: &Message<'a>, now: Instant) -> Option<(Encoded, &'a str)> {
    let plain = |encoded| Some((encoded, ""));
    match *message {
        // The first attempt has no field, and there is none before it.
        Message::Request { fields, .. } if fields.attempt == 0 => None,
        Message::Request { call, token, time_left_ms, method, fields, payload } => {
            let deadline = (time_left_ms > 0).then(|| now + Duration::from_millis(time_left_ms.into()));
            let token = std::str::from_utf8(token).ok()?;
            let encoded = Encoded::request(method, deadline, fields, payload).ok()?;
            Some((encoded.with_call(call), token))
        }
        Message::Response { call, metadata, payload } => {
            plain(Encoded::response(call, metadata, payload).ok()?)
        }
        Message::Error { call, failure } => plain(Encoded::error(call, &failure)),
        Message::Cancel { call, cause } => plain(Encoded::cancel(call, cause)),
        Message::Ping(nonce) => plain(Encoded::ping(nonce)),
        Message::Pong(nonce) => plain(Encoded::pong(nonce)),
        Message::GoAway { last, code } => plain(Encoded::go_away(last, code)),
        Message::Item { call, payload } => plain(Encoded::item(call, payload)),
        Message::End { call, metadata } => plain(Encoded::end(call, metadata).ok()?),
        Message::Window { call, credit } => plain(Encoded::window(call, credit)),
        Message::Malformed { .. } => None,
    }
}

/// A token as it comes; then a header and claims under a good signature.
pub(crate) fn token(data: &[u8]) {
    let (client, server) = ("client".parse().unwrap(), "server".parse().unwrap());
    let session = SessionId::from_bytes([3; 16]);
    let verifier = TokenVerifier::new(
        &TOKEN_KEY,
        TokenType::Request,
        &client,
        &server,
        &session,
        recorded().1,
        Duration::from_hours(24),
    );
    let _ = verifier.verify(data, NOW);
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (header, claims) = data.split_at(end);
    let claims = claims.strip_prefix(b"\n").unwrap_or(claims);
    let header = if header.is_empty() { br#"{"alg":"HS256","typ":"ssm-request+jwt"}"# } else { header };
    let signed = format!("{}.{}", base64url(header), base64url(claims));
    let signature = MacKey::new(&TOKEN_KEY).sign(&[signed.as_bytes()]);
    let token = format!("{signed}.{}", base64url(&signature));
    if let Ok(claims) = verifier.verify(token.as_bytes(), NOW) {
        assert_eq!((&*claims.iss, &*claims.sub, &*claims.aud), ("client", "client", "server"));
        assert_eq!(claims.sid, Some(session.to_string()));
        assert_eq!(claims.jkt, Some(recorded().1.to_string()));
        assert!(claims.exp > NOW.as_secs() - 60 && claims.nbf < NOW.as_secs() + 60);
    }
}

/// Unpadded base64url (RFC 4648, 5), since the fuzz targets need nothing else of
/// a library for it.
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 3);
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for sextet in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * sextet)) as usize & 63]));
        }
    }
    text
}
