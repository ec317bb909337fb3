//! Sessions after the first: a ticket takes the place of RSA on both sides
//! (`docs/protocol.md`, section 3, resumption).
//!
//! A ticket is the server's own note of a session it has had, sealed for
//! itself, so that it holds no state and a server that was restarted still
//! knows its clients. It serves once. Who presents it proves itself with a key
//! that never left its memory: not even the thief of the server's key can use
//! a ticket it has seen.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, fmt, sync::Mutex, time::Duration};

use super::{HandshakeError, MeshSecret};
use crate::{
    clock::Timestamp,
    crypto::{
        CryptoError,
        aead::{AeadKey, Nonce, Tag},
        kdf::Prk,
        kem::X25519Secret,
        rsa::{KeyPair, Thumbprint},
        secret::{Secret, fill_random},
    },
    id::ServiceId,
    wire::{Malformed, Reader, Write},
};

/// How long sessions may descend from one full handshake. After it both sides
/// prove again that they hold their RSA keys.
pub(super) const TICKET_LIFETIME: Duration = Duration::from_hours(24);
/// Used tickets remembered; with more, all tickets are void.
const MAX_USED: usize = 65_536;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;

/// What a client keeps of a session, for the next one with the same service.
pub struct Ticket {
    /// The server's note, unreadable here.
    pub(super) sealed: Vec<u8>,
    pub(super) psk: Secret<32>,
    /// Its public half is in the note.
    pub(super) holder: X25519Secret,
    /// The key the server has proved to hold.
    pub(super) server_key: Thumbprint,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(..)")
    }
}

/// What a server notes of a session.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) client: ServiceId,
    pub(super) client_key: Thumbprint,
    pub(super) holder: [u8; 32],
    pub(super) psk: Secret<32>,
    /// End of the descent from one full handshake.
    pub(super) expires: Timestamp,
}

impl Note {
    fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::with_capacity(256);
        out.put_vec8(self.client.as_str().as_bytes())?;
        out.put(self.client_key.as_bytes());
        out.put(&self.holder);
        out.put(self.psk.as_bytes());
        out.put(&self.expires.as_millis().to_be_bytes());
        Ok(out)
    }

    fn decode(plaintext: &[u8]) -> Result<Self, HandshakeError> {
        let mut reader = Reader::new(plaintext);
        let client = ServiceId::from_bytes(reader.vec8()?)?;
        let client_key = Thumbprint::from_bytes(reader.array()?);
        let holder = reader.array()?;
        let psk = Secret::new(reader.array()?);
        let expires = Timestamp::from_millis(u64::from_be_bytes(reader.array()?));
        reader.end()?;
        Ok(Self { client, client_key, holder, psk, expires })
    }
}

/// Gives tickets and takes them back, each once.
pub struct Tickets {
    root: Prk,
    state: Mutex<State>,
}

struct State {
    /// Raised to make every ticket void.
    generation: u32,
    key: AeadKey,
    /// Nonces of the tickets that were used, and when they would have expired.
    used: HashMap<[u8; NONCE_LEN], Timestamp>,
}

impl Tickets {
    /// For the service `id`. Its tickets are void once its key or one of the
    /// mesh secrets is another.
    pub fn new(id: &ServiceId, key: &KeyPair, secrets: &[MeshSecret]) -> Result<Self, CryptoError> {
        let mut policy = Vec::with_capacity(64 + 8 * secrets.len());
        policy.put(id.as_str().as_bytes());
        for secret in secrets {
            policy.put(&secret.id);
        }
        let root = Prk::extract(key.derive("tickets")?.as_bytes(), &[&policy]);
        let state = State { generation: 0, key: ticket_key(&root, 0)?, used: HashMap::new() };
        Ok(Self { root, state: Mutex::new(state) })
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

    /// The note in a ticket that `client`, showing the key `shown`, presents;
    /// nothing if it is not good, whatever the reason: the handshake is then a
    /// full one. The ticket is used up.
    pub(super) fn take(
        &self,
        ticket: &[u8],
        client: &ServiceId,
        shown: Thumbprint,
        now: Timestamp,
    ) -> Option<Note> {
        let (nonce, rest) = ticket.split_first_chunk::<NONCE_LEN>()?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>()?;
        let mut plaintext = zeroize::Zeroizing::new(ciphertext.to_vec());
        let mut state = self.lock();
        state.key.open_in_place(&Nonce(*nonce), &[], &mut plaintext, &Tag(*tag)).ok()?;
        let note = Note::decode(&plaintext).ok()?;
        if note.client != *client || note.client_key != shown || now >= note.expires {
            return None;
        }
        if state.used.contains_key(nonce) {
            return None;
        }
        if state.used.len() >= MAX_USED {
            state.used.retain(|_, expires| now < *expires);
        }
        if state.used.len() >= MAX_USED {
            state.generation = state.generation.wrapping_add(1);
            state.key = ticket_key(&self.root, state.generation).ok()?;
            state.used.clear();
            return None;
        }
        state.used.insert(*nonce, note.expires);
        Some(note)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Each update is whole; a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
