//! The key schedule. Each stage mixes in one more secret and is bound to the
//! transcript so far.

use super::{HandshakeError, MeshSecret, trust::Mode};
use crate::{
    crypto::{
        aead::{AeadKey, Nonce, Tag},
        kdf::Prk,
        mac::{MacKey, sha256},
        secret::Secret,
    },
    id::SessionId,
};

pub(super) type Hash = [u8; 32];

fn next(previous: &Prk, label: &str, transcript: &Hash, secrets: &[&[u8]]) -> Prk {
    let salt: Secret<32> = previous.expand_secret(label, transcript);
    Prk::extract(salt.as_bytes(), secrets)
}

/// The stage after both ephemeral secrets and the proof of the client: `k_s`,
/// or the secrets of a resumption.
#[derive(Debug)]
pub(super) struct ClientStage {
    prk: Prk,
    th2: Hash,
}

impl ClientStage {
    /// Mixes in the secrets. `shared` has the ML-KEM secret, if any, then the X25519 secret.
    pub(super) fn new(root: &MeshSecret, th2: Hash, shared: &[Secret<32>], proof: &[&Secret<32>]) -> Self {
        let shared: Vec<&[u8]> = shared.iter().map(|secret| &secret.as_bytes()[..]).collect();
        let proof: Vec<&[u8]> = proof.iter().map(|secret| &secret.as_bytes()[..]).collect();
        let ephemeral = next(&root.root, "stage 1", &th2, &shared);
        Self { prk: next(&ephemeral, "stage 2", &th2, &proof), th2 }
    }

    pub(super) fn session_id(&self) -> SessionId {
        let mut id = [0; 16];
        self.prk.expand("session id", &self.th2, &mut id);
        SessionId::from_bytes(id)
    }

    pub(super) fn token_key(&self) -> Secret<32> {
        self.prk.expand_secret("c token", &self.th2)
    }

    pub(super) fn sealing(&self) -> Result<SealingKey, HandshakeError> {
        SealingKey::new(&self.prk.expand_secret("c handshake key", &self.th2))
    }

    pub(super) fn finished(&self) -> MacKey {
        MacKey::new(self.prk.expand_secret::<32>("c finished", &self.th2).as_bytes())
    }

    pub(super) fn server_stage(&self, th3: Hash, proof: &Secret<32>) -> ServerStage {
        ServerStage { prk: next(&self.prk, "stage 3", &th3, &[proof.as_bytes()]), th3 }
    }
}

/// The stage after the proof of the server: `k_c`, or the secret of a resumption.
#[derive(Debug)]
pub(super) struct ServerStage {
    prk: Prk,
    pub(super) th3: Hash,
}

impl ServerStage {
    pub(super) fn token_key(&self) -> Secret<32> {
        self.prk.expand_secret("s token", &self.th3)
    }

    pub(super) fn sealing(&self) -> Result<SealingKey, HandshakeError> {
        SealingKey::new(&self.prk.expand_secret("s handshake key", &self.th3))
    }

    pub(super) fn finished(&self) -> MacKey {
        MacKey::new(self.prk.expand_secret::<32>("s finished", &self.th3).as_bytes())
    }

    /// The secret from which a later session may be resumed.
    pub(super) fn resumption(&self) -> Secret<32> {
        self.prk.expand_secret("resumption", &self.th3)
    }

    /// The traffic secrets of the client's and of the server's direction.
    pub(super) fn traffic(&self, th4: &Hash) -> (Secret<32>, Secret<32>) {
        (self.prk.expand_secret("c traffic", th4), self.prk.expand_secret("s traffic", th4))
    }
}

/// A key that seals one message of the handshake. It is used once, so its nonce is zero.
pub(super) struct SealingKey(AeadKey);

impl SealingKey {
    fn new(key: &Secret<32>) -> Result<Self, HandshakeError> {
        Ok(Self(AeadKey::new(key.as_bytes())?))
    }

    pub(super) fn seal(self, aad: &[u8], mut plaintext: Vec<u8>) -> Result<Vec<u8>, HandshakeError> {
        let tag = self.0.seal_in_place(&Nonce([0; 12]), aad, &mut plaintext)?;
        plaintext.extend_from_slice(&tag.0);
        Ok(plaintext)
    }

    pub(super) fn open(self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        let (ciphertext, tag) = sealed.split_last_chunk::<16>().ok_or(HandshakeError::Format)?;
        let mut plaintext = ciphertext.to_vec();
        self.0
            .open_in_place(&Nonce([0; 12]), aad, &mut plaintext, &Tag(*tag))
            .map_err(|_| HandshakeError::Finished)?;
        Ok(plaintext)
    }
}

/// The exporter value of RFC 9266 of the TLS connection that carries a stream.
pub type Exporter = [u8; 32];

/// The channel beneath the stream, which the handshake binds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    pub(super) mode: Mode,
    pub(super) exporter: Option<Exporter>,
}

impl From<Mode> for Channel {
    /// A channel without TLS.
    fn from(mode: Mode) -> Self {
        Self { mode, exporter: None }
    }
}

impl Channel {
    /// `B` of the protocol. Over TLS it is the exporter value after its length. Without TLS it is an empty
    /// value with certificates, and no bytes otherwise.
    pub(super) fn binding(&self) -> Vec<u8> {
        match (&self.exporter, self.mode) {
            (Some(exporter), _) => [&[exporter.len() as u8], &exporter[..]].concat(),
            (None, Mode::Certificate) => vec![0],
            (None, Mode::Secret | Mode::Pinned) => Vec::new(),
        }
    }
}

/// The transcript hash over M1 and M2 (`messages`), whole or so far as the label
/// of `ct_s` covers M2, and the channel.
pub(super) fn transcript_of_hellos(messages: &[&[u8]], channel: impl Into<Channel>) -> Hash {
    let channel: Channel = channel.into();
    sha256(&[messages, &[&channel.binding()]].concat())
}

/// The transcript hash over whole messages.
pub(super) fn transcript(messages: &[&[u8]]) -> Hash {
    sha256(messages)
}
