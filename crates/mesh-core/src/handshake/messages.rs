//! The bytes of M1 to M4. Decoding keeps the received bytes, because a
//! transcript is never encoded again.

use super::{
    Local,
    error::HandshakeError,
    parameters::{PROTOCOL_VERSION, Parameters, Suite},
    resumption::SignedHolder,
    trust::Mode,
};
use crate::{
    crypto::aead::AesKeySize,
    id::ServiceId,
    wire::{Malformed, Reader, Write},
};

/// Largest handshake message, header included, in bytes.
pub const MAX_HANDSHAKE_MESSAGE: usize = 16 * 1024;

pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const SERVER_HELLO: u8 = 2;
pub(super) const CLIENT_FINISH: u8 = 3;
pub(super) const SERVER_FINISH: u8 = 4;

pub(super) const MAC_LEN: usize = 32;
const HEADER_LEN: usize = 6;
const KEY_IDENTITY: u8 = 1;
const CERTIFICATE_IDENTITY: u8 = 2;
const RESUMPTION: u16 = 1;
const SUCCESSION: u16 = 2;

/// Starts a message. [`finish`] writes its length once the body is complete.
pub(super) fn begin(kind: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(4096);
    out.put(&[PROTOCOL_VERSION, kind, 0, 0, 0, 0]);
    out
}

/// Sets the length for the body so far plus `more` bytes to come.
pub(super) fn finish(message: &mut [u8], more: usize) {
    let body = (message.len() - HEADER_LEN + more) as u32;
    message[2..HEADER_LEN].copy_from_slice(&body.to_be_bytes());
}

/// Checks size, version, type and length, in this order; returns the body.
pub(super) fn body(message: &[u8], kind: u8) -> Result<Reader<'_>, HandshakeError> {
    if message.len() > MAX_HANDSHAKE_MESSAGE {
        return Err(HandshakeError::Format);
    }
    let mut reader = Reader::new(message);
    if reader.u8()? != PROTOCOL_VERSION {
        return Err(HandshakeError::Version);
    }
    if reader.u8()? != kind {
        return Err(HandshakeError::State);
    }
    let len = reader.u32()?;
    if len as usize != reader.rest().len() {
        return Err(HandshakeError::Format);
    }
    Ok(reader)
}

/// Splits a message into the bytes that its MAC covers, and the MAC at its end.
pub(super) fn split_mac(message: &[u8]) -> Result<(&[u8], &[u8]), HandshakeError> {
    message
        .split_last_chunk::<MAC_LEN>()
        .map(|(covered, mac)| (covered, &mac[..]))
        .ok_or(HandshakeError::Format)
}

/// The versions, suites and AES key size that one side supports.
pub(super) struct Offer {
    pub(super) versions: Vec<u8>,
    pub(super) suites: Vec<u16>,
    pub(super) aes: AesKeySize,
}

impl Offer {
    pub(super) fn new(suites: &[Suite], aes: AesKeySize) -> Self {
        Self {
            versions: vec![PROTOCOL_VERSION],
            suites: suites.iter().map(|suite| *suite as u16).collect(),
            aes,
        }
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        out.put_vec8(&self.versions)?;
        let suites: Vec<u8> = self.suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
        out.put_vec8(&suites)?;
        out.put_u16(self.aes.bits());
        Ok(())
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, HandshakeError> {
        let versions = reader.vec8()?.to_vec();
        let suites = reader.vec8()?;
        let (pairs, []) = suites.as_chunks::<2>() else { return Err(HandshakeError::Format) };
        let suites = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
        Ok(Self { versions, suites, aes: read_aes(reader)? })
    }

    /// The suite with the lowest number that both sides know.
    pub(super) fn best_suite(&self, own: &[Suite]) -> Option<Suite> {
        self.suites
            .iter()
            .filter_map(|number| Suite::from_number(*number))
            .filter(|suite| own.contains(suite))
            .min()
    }
}

fn read_aes(reader: &mut Reader<'_>) -> Result<AesKeySize, HandshakeError> {
    AesKeySize::from_bits(u32::from(reader.u16()?)).ok_or(HandshakeError::Format)
}

/// The identity in a hello, before any check.
pub(super) enum Shown {
    /// The sender's key in DER.
    Key(Vec<u8>),
    /// A certificate chain, and the key that it delegates to.
    Certificate(Vec<u8>),
}

impl Shown {
    /// The identity that `local` presents.
    pub(super) fn of(local: &Local) -> Self {
        match &local.certificate {
            Some(certificate) => Self::Certificate(certificate.identity.clone()),
            None => Self::Key(local.key.public_key().spki_der().to_vec()),
        }
    }

    fn parts(&self) -> (u8, &[u8]) {
        match self {
            Self::Key(bytes) => (KEY_IDENTITY, bytes),
            Self::Certificate(bytes) => (CERTIFICATE_IDENTITY, bytes),
        }
    }
}

/// The fields that M1 and M2 have in common.
pub(super) struct Shares {
    pub(super) client: ServiceId,
    pub(super) server: ServiceId,
    pub(super) nonce: [u8; 32],
    pub(super) x25519: [u8; 32],
    pub(super) ml_kem: Vec<u8>,
    pub(super) identity: Shown,
    pub(super) secret_id: [u8; 8],
    /// In M1 the ticket of a previous session; in M2 empty, if the ticket is accepted.
    pub(super) resumption: Option<Vec<u8>>,
    /// The succession that the sender's previous key has signed, if there is one; not yet verified.
    pub(super) succession: Option<Vec<u8>>,
}

impl Shares {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        out.put_vec8(self.client.as_str().as_bytes())?;
        out.put_vec8(self.server.as_str().as_bytes())?;
        out.put(&self.nonce);
        out.put(&self.x25519);
        out.put_vec16(&self.ml_kem)?;
        let (kind, identity) = self.identity.parts();
        out.put(&[kind]);
        out.put_vec16(identity)?;
        out.put(&self.secret_id);
        let mut extensions = Vec::new();
        for (kind, value) in [(RESUMPTION, &self.resumption), (SUCCESSION, &self.succession)] {
            if let Some(value) = value {
                extensions.put_u16(kind);
                extensions.put_vec16(value)?;
            }
        }
        out.put_vec16(&extensions)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, HandshakeError> {
        let client = ServiceId::from_bytes(reader.vec8()?)?;
        let server = ServiceId::from_bytes(reader.vec8()?)?;
        let nonce = reader.array()?;
        let x25519 = reader.array()?;
        let ml_kem = reader.vec16()?.to_vec();
        let identity = match reader.u8()? {
            KEY_IDENTITY => Shown::Key(reader.vec16()?.to_vec()),
            CERTIFICATE_IDENTITY => Shown::Certificate(reader.vec16()?.to_vec()),
            _ => return Err(HandshakeError::Mode),
        };
        let secret_id = reader.array()?;
        let mut extensions = Reader::new(reader.vec16()?);
        let (mut resumption, mut succession) = (None, None);
        while extensions.end().is_err() {
            let kind = extensions.u16()?;
            let value = extensions.vec16()?;
            let known = match kind {
                RESUMPTION => &mut resumption,
                SUCCESSION => &mut succession,
                _ => continue,
            };
            if known.replace(value.to_vec()).is_some() {
                return Err(HandshakeError::Format);
            }
        }
        Ok(Self { client, server, nonce, x25519, ml_kem, identity, secret_id, resumption, succession })
    }
}

/// M1 without its MAC.
pub(super) struct ClientHello {
    pub(super) offer: Offer,
    pub(super) mode: u8,
    pub(super) shares: Shares,
}

impl ClientHello {
    pub(super) fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut out = begin(CLIENT_HELLO);
        self.offer.write(&mut out)?;
        out.put(&[self.mode]);
        self.shares.write(&mut out)?;
        finish(&mut out, MAC_LEN);
        Ok(out)
    }

    pub(super) fn decode(message: &[u8]) -> Result<Self, HandshakeError> {
        let mut reader = body(message, CLIENT_HELLO)?;
        let offer = Offer::read(&mut reader)?;
        let hello = Self { offer, mode: reader.u8()?, shares: Shares::read(&mut reader)? };
        reader.bytes(MAC_LEN)?;
        reader.end()?;
        Ok(hello)
    }
}

/// The choice of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) version: u8,
    pub(super) suite: Suite,
    pub(super) aes: AesKeySize,
    pub(super) mode: Mode,
}

/// M2 before `ct_s`.
pub(super) struct ServerHello {
    pub(super) choice: Choice,
    pub(super) offer: Offer,
    pub(super) shares: Shares,
}

impl ServerHello {
    /// The message up to `ct_s`. Its length field already counts `ct_s` of
    /// `wrapped_len` bytes and the MAC.
    pub(super) fn encode(&self, wrapped_len: usize) -> Result<Vec<u8>, Malformed> {
        let mut out = begin(SERVER_HELLO);
        let Choice { version, suite, aes, mode } = self.choice;
        out.put(&[version]);
        out.put_u16(suite as u16);
        out.put_u16(aes.bits());
        out.put(&[mode as u8]);
        self.offer.write(&mut out)?;
        self.shares.write(&mut out)?;
        finish(&mut out, 2 + wrapped_len + MAC_LEN);
        Ok(out)
    }

    /// The hello, `ct_s`, and the number of bytes before `ct_s`.
    pub(super) fn decode(message: &[u8]) -> Result<(Self, &[u8], usize), HandshakeError> {
        let mut reader = body(message, SERVER_HELLO)?;
        let version = reader.u8()?;
        let suite = Suite::from_number(reader.u16()?).ok_or(HandshakeError::Downgrade)?;
        let aes = read_aes(&mut reader)?;
        let mode = Mode::from_number(reader.u8()?).ok_or(HandshakeError::Mode)?;
        let offer = Offer::read(&mut reader)?;
        let shares = Shares::read(&mut reader)?;
        let prefix = message.len() - reader.rest().len();
        let wrapped = reader.vec16()?;
        reader.bytes(MAC_LEN)?;
        reader.end()?;
        Ok((Self { choice: Choice { version, suite, aes, mode }, offer, shares }, wrapped, prefix))
    }
}

/// M3.
pub(super) struct ClientFinish<'a> {
    pub(super) wrapped: &'a [u8],
    pub(super) sealed: &'a [u8],
    pub(super) finished: &'a [u8],
}

impl<'a> ClientFinish<'a> {
    pub(super) fn decode(message: &'a [u8]) -> Result<Self, HandshakeError> {
        let mut reader = body(message, CLIENT_FINISH)?;
        let (wrapped, sealed) = (reader.vec16()?, reader.vec16()?);
        let finished = reader.bytes(MAC_LEN)?;
        reader.end()?;
        Ok(Self { wrapped, sealed, finished })
    }
}

/// The plaintext of the sealed part of M3 and M4.
pub(super) struct Sealed<'a> {
    pub(super) token: &'a [u8],
    pub(super) parameters: Parameters,
    /// In M3: the holder key with which the client will resume, signed by its RSA key.
    pub(super) holder: Option<SignedHolder>,
    /// In M4: a ticket.
    pub(super) ticket: Option<&'a [u8]>,
}

const MAX_MESSAGE: u8 = 1;
const MAX_CALLS: u8 = 2;
const TICKET: u8 = 3;
const HOLDER: u8 = 4;

impl<'a> Sealed<'a> {
    pub(super) fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut list = Vec::with_capacity(320);
        let mut put = |tag: u8, value: &[u8]| {
            list.put(&[tag]);
            list.put_vec16(value)
        };
        put(MAX_MESSAGE, &self.parameters.max_message.to_be_bytes())?;
        put(MAX_CALLS, &self.parameters.max_calls.to_be_bytes())?;
        if let Some(ticket) = self.ticket {
            put(TICKET, ticket)?;
        }
        if let Some(holder) = &self.holder {
            put(HOLDER, &holder.encode())?;
        }
        let mut out = Vec::with_capacity(self.token.len() + list.len() + 4);
        out.put_vec16(self.token)?;
        out.put_vec16(&list)?;
        Ok(out)
    }

    pub(super) fn decode(plaintext: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(plaintext);
        let token = reader.vec16()?;
        let mut list = Reader::new(reader.vec16()?);
        reader.end()?;
        let number = |value: &[u8]| value.try_into().map(u32::from_be_bytes).map_err(|_| Malformed);
        let (mut max_message, mut max_calls, mut ticket, mut holder) = (None, None, None, None);
        while list.end().is_err() {
            let tag = list.u8()?;
            let value = list.vec16()?;
            match tag {
                MAX_MESSAGE => max_message = Some(number(value)?),
                MAX_CALLS => max_calls = Some(number(value)?),
                TICKET => ticket = Some(value),
                HOLDER => holder = Some(SignedHolder::decode(value)?),
                _ => {}
            }
        }
        match (max_message, max_calls) {
            (Some(max_message), Some(max_calls)) => {
                Ok(Self { token, parameters: Parameters { max_message, max_calls }, holder, ticket })
            }
            _ => Err(Malformed),
        }
    }
}
