//! Sessions after the first: a ticket replaces the RSA operations on both sides
//! (`docs/protocol.md`, section 3, resumption).
//!
//! A ticket is the server's note of a session, which the server seals for
//! itself. The server keeps no state for it, so a restarted server still
//! accepts it. A ticket is valid once. The client proves itself with its holder
//! key, which never left its memory and which its RSA key has signed. Therefore
//! the thief of a server's key can neither use a ticket that it has seen nor
//! forge one.

#[cfg(test)]
mod forge;
mod holder;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

#[cfg(test)]
pub(crate) use self::forge::forge_ticket;
pub use self::holder::Holders;
pub(super) use self::holder::{Holder, SignedHolder};
use super::{error::HandshakeError, trust::MeshSecret};
use crate::{
    clock::Timestamp,
    crypto::{
        CryptoError,
        aead::{AeadKey, Nonce, Tag},
        kdf::Prk,
        rsa::{KeyPair, PublicKey, Thumbprint},
        secret::{Secret, fill_random},
    },
    id::ServiceId,
    wire::{Malformed, Reader, Write},
};

/// The time for which sessions may be resumed after one full handshake. Then
/// both sides prove again that they hold their RSA keys.
pub(super) const TICKET_LIFETIME: Duration = Duration::from_hours(24);
/// The number of used tickets that are remembered. Beyond it all tickets become void.
const MAX_USED: usize = 65_536;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;

/// The longest ticket that a client keeps, in bytes. The tickets of this package
/// have at most 800 without a certificate.
pub const MAX_TICKET: usize = 2048;

/// The state that a client keeps of a session for the next one with the same service.
pub struct Ticket {
    /// The server's note, which the client cannot read.
    pub(super) sealed: Vec<u8>,
    pub(super) psk: Secret<32>,
    /// Its public half and signature are in the note.
    pub(super) holder: Arc<Holder>,
    /// The key that the server has proved to hold.
    pub(super) server_key: Thumbprint,
}

impl Ticket {
    /// The length of the server's note, in bytes. The server chooses it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sealed.len()
    }

    /// Whether the server's note is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sealed.is_empty()
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(..)")
    }
}

/// The facts that a server notes about a session.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) client: ServiceId,
    pub(super) client_key: Thumbprint,
    pub(super) holder: SignedHolder,
    pub(super) psk: Secret<32>,
    /// The end of all sessions that descend from one full handshake.
    pub(super) expires: Timestamp,
    /// The name that the client's certificate has proved, if it has one.
    pub(super) name: Option<String>,
}

impl Note {
    fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::with_capacity(768);
        out.put_vec8(self.client.as_str().as_bytes())?;
        out.put(self.client_key.as_bytes());
        out.put_vec16(&self.holder.encode())?;
        out.put(self.psk.as_bytes());
        out.put(&self.expires.as_millis().to_be_bytes());
        if let Some(name) = &self.name {
            out.put_vec16(name.as_bytes())?;
        }
        Ok(out)
    }

    fn decode(plaintext: &[u8]) -> Result<Self, HandshakeError> {
        let mut reader = Reader::new(plaintext);
        let client = ServiceId::from_bytes(reader.vec8()?)?;
        let client_key = Thumbprint::from_bytes(reader.array()?);
        let holder = SignedHolder::decode(reader.vec16()?)?;
        let psk = Secret::new(reader.array()?);
        let expires = Timestamp::from_millis(u64::from_be_bytes(reader.array()?));
        let name = if reader.end().is_ok() {
            None
        } else {
            let name = std::str::from_utf8(reader.vec16()?).map_err(|_| HandshakeError::Format)?;
            Some(name.to_owned())
        };
        reader.end()?;
        Ok(Self { client, client_key, holder, psk, expires, name })
    }
}

/// Issues tickets and accepts each of them once.
pub struct Tickets {
    /// The service that issues these tickets.
    server: ServiceId,
    root: Prk,
    state: Mutex<State>,
}

struct State {
    /// A part of the sealing key's derivation; an increment makes every ticket void.
    generation: u32,
    key: AeadKey,
    /// The nonces of used tickets, with the times at which those tickets expire.
    used: HashMap<[u8; NONCE_LEN], Timestamp>,
}

impl Tickets {
    /// Makes the tickets of the service `id`. A change of its key or of a mesh
    /// secret makes them void.
    pub fn new(id: &ServiceId, key: &KeyPair, secrets: &[MeshSecret]) -> Result<Self, CryptoError> {
        let mut policy = Vec::with_capacity(64 + 8 * secrets.len());
        policy.put(id.as_str().as_bytes());
        for secret in secrets {
            policy.put(&secret.id);
        }
        let root = Prk::extract(key.derive("tickets")?.as_bytes(), &[&policy]);
        let state = State { generation: 0, key: ticket_key(&root, 0)?, used: HashMap::new() };
        Ok(Self { server: id.clone(), root, state: Mutex::new(state) })
    }

    pub(super) fn give(&self, note: &Note) -> Result<Vec<u8>, HandshakeError> {
        let mut nonce = [0; NONCE_LEN];
        fill_random(&mut nonce)?;
        let mut sealed = note.encode()?;
        let tag = self.lock().key.seal_in_place(&Nonce(nonce), &[], &mut sealed)?;
        sealed.splice(0..0, nonce);
        sealed.put(&tag.0);
        Ok(sealed)
    }

    /// Takes the ticket that `client` presents with the key `shown`, and
    /// returns its note. `None` for any invalid ticket: the handshake is then a
    /// full one. The ticket is spent.
    pub(super) fn take(
        &self,
        ticket: &[u8],
        client: &ServiceId,
        shown: &PublicKey,
        now: Timestamp,
    ) -> Option<Note> {
        let (nonce, rest) = ticket.split_first_chunk::<NONCE_LEN>()?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>()?;
        let mut plaintext = zeroize::Zeroizing::new(ciphertext.to_vec());
        let generation = {
            let state = self.lock();
            state.key.open_in_place(&Nonce(*nonce), &[], &mut plaintext, &Tag(*tag)).ok()?;
            // This check comes first, so that a replay costs no public operation.
            if state.used.contains_key(nonce) {
                return None;
            }
            state.generation
        };
        let note = Note::decode(&plaintext).ok()?;
        if note.client != *client || note.client_key != shown.thumbprint() || now >= note.expires {
            return None;
        }
        // This is the only check that the thief of the server's key cannot satisfy.
        if !note.holder.verify(&self.server, shown) {
            return None;
        }
        let mut state = self.lock();
        // Another thread may have made the ticket void since the first lock.
        (state.generation == generation && state.spend(nonce, note.expires, now, &self.root)).then_some(note)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Each update is complete under one lock, so a panic elsewhere leaves the state consistent.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    /// Marks a ticket as used; false if it was used before. When the table of
    /// used tickets is full, every ticket becomes void, this one too.
    fn spend(&mut self, nonce: &[u8; NONCE_LEN], expires: Timestamp, now: Timestamp, root: &Prk) -> bool {
        if self.used.contains_key(nonce) {
            return false;
        }
        if self.used.len() >= MAX_USED {
            self.used.retain(|_, expires| now < *expires);
        }
        if self.used.len() >= MAX_USED {
            self.generation = self.generation.wrapping_add(1);
            if let Ok(key) = ticket_key(root, self.generation) {
                self.key = key;
                self.used.clear();
            }
            return false;
        }
        self.used.insert(*nonce, expires);
        true
    }
}

fn ticket_key(root: &Prk, generation: u32) -> Result<AeadKey, CryptoError> {
    AeadKey::new(root.expand_secret::<32>("ticket key", &generation.to_be_bytes()).as_bytes())
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets(..)")
    }
}
