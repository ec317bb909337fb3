//! The client's side.

use std::sync::Arc;

use super::{
    Established, Expectation, HandshakeError, Local, MAX_TOKEN_LIFETIME, MeshSecret, Mode, Suite,
    messages::{
        self, CLIENT_FINISH, Choice, ClientHello, MAC_LEN, Offer, SERVER_FINISH, Sealed, ServerHello, Shares,
        Shown, split_mac,
    },
    parameters::PROTOCOL_VERSION,
    recognise::recognise,
    resumption::{Holder, Ticket},
    schedule::{Channel, ClientStage, Exporter, Hash, ServerStage, transcript, transcript_of_hellos},
    trust::Recognised,
    unwrap_secret,
};
use crate::{
    auth::{TokenIssuer, TokenType, TokenVerifier},
    clock::Timestamp,
    crypto::{
        kem::{MlKemSecret, X25519Secret},
        rsa::PublicKey,
        secret::Secret,
    },
    id::ServiceId,
    wire::Write,
};

/// Begins handshakes.
#[derive(Debug)]
pub struct Initiator;

impl Initiator {
    /// Makes M1 for the service `server`. With a ticket M1 asks for a
    /// resumption, and the server may still answer with a full handshake.
    pub fn start(
        local: Arc<Local>,
        server: ServiceId,
        expectation: Expectation,
        ticket: Option<Ticket>,
        now: Timestamp,
    ) -> Result<(Vec<u8>, AwaitHello), HandshakeError> {
        let mode = local.mode();
        let secret = local.secrets.first().filter(|_| mode == Mode::Secret);
        let secret = secret.cloned().unwrap_or_else(MeshSecret::none);
        let x25519 = X25519Secret::generate()?;
        let ml_kem =
            if local.suites.contains(&Suite::Hybrid) { Some(MlKemSecret::generate()?) } else { None };
        let hello = ClientHello {
            offer: Offer::new(&local.suites, local.aes),
            mode: mode as u8,
            shares: Shares {
                client: local.id.clone(),
                server: server.clone(),
                nonce: *Secret::random()?.as_bytes(),
                x25519: x25519.public_share(),
                ml_kem: ml_kem.as_ref().map(MlKemSecret::public_key).transpose()?.unwrap_or_default(),
                identity: Shown::of(&local),
                secret_id: secret.id,
                resumption: ticket.as_ref().map(|ticket| ticket.sealed.clone()),
                succession: local.succession.as_ref().map(|succession| succession.as_bytes().to_vec()),
            },
        };
        let mut m1 = hello.encode()?;
        let mac = secret.hello_key("client hello").sign(&[&m1]);
        m1.put(&mac);
        let state = AwaitHello {
            deadline: local.deadline(now),
            local,
            server,
            expectation,
            mode,
            secret,
            x25519,
            ml_kem,
            ticket,
            m1: m1.clone(),
            exporter: None,
        };
        Ok((m1, state))
    }
}

/// M1 is sent.
#[derive(Debug)]
pub struct AwaitHello {
    local: Arc<Local>,
    server: ServiceId,
    expectation: Expectation,
    mode: Mode,
    secret: MeshSecret,
    x25519: X25519Secret,
    ml_kem: Option<MlKemSecret>,
    ticket: Option<Ticket>,
    m1: Vec<u8>,
    exporter: Option<Exporter>,
    deadline: Timestamp,
}

impl AwaitHello {
    /// Binds the handshake to the TLS connection beneath, if there is one. The handshake fails if the
    /// server's end is another TLS connection.
    #[must_use]
    pub fn bound_to(self, exporter: Option<Exporter>) -> Self {
        Self { exporter, ..self }
    }

    /// Gives up the handshake and returns its ticket, which the server was too
    /// busy to use.
    #[must_use]
    pub fn into_ticket(self) -> Option<Ticket> {
        self.ticket
    }

    /// Checks M2, with public operations only.
    pub fn on_hello(self, m2: &[u8], now: Timestamp) -> Result<Unproved, HandshakeError> {
        self.local.check_deadline(self.deadline, now)?;
        let (hello, wrapped, prefix) = ServerHello::decode(m2)?;
        if hello.shares.client != self.local.id || hello.shares.server != self.server {
            return Err(HandshakeError::WrongTarget);
        }
        if hello.choice.mode != self.mode {
            return Err(HandshakeError::Mode);
        }
        let (covered, mac) = split_mac(m2)?;
        let m1_hash = transcript(&[&self.m1]);
        if !self.secret.hello_key("server hello").verify(&[&m1_hash, covered], mac) {
            return Err(HandshakeError::HelloMac);
        }
        self.check_choice(&hello)?;
        let expect = || self.expectation;
        let (server_key, recognised) =
            recognise(&self.local, &self.server, &hello.shares, expect, self.mode, now)?;

        let ml_kem = match (hello.choice.suite, self.ml_kem) {
            (Suite::Hybrid, Some(secret)) => {
                Some(secret.decapsulate(&hello.shares.ml_kem).map_err(|_| HandshakeError::BadShare)?)
            }
            (Suite::X25519, _) if hello.shares.ml_kem.is_empty() => None,
            _ => return Err(HandshakeError::BadShare),
        };
        let x25519 = self.x25519.agree(&hello.shares.x25519).map_err(|_| HandshakeError::BadShare)?;
        let channel = Channel { mode: self.mode, exporter: self.exporter };
        let proof = if let Some(accepted) = &hello.shares.resumption {
            let ticket = self.ticket.ok_or(HandshakeError::Format)?;
            if !(accepted.is_empty() && wrapped.is_empty()) {
                return Err(HandshakeError::Format);
            }
            if ticket.server_key != server_key.thumbprint() {
                return Err(HandshakeError::Finished);
            }
            let held = ticket.holder.agree(&hello.shares.x25519).map_err(|_| HandshakeError::BadShare)?;
            Proof::Ticket { psk: ticket.psk, held, holder: ticket.holder }
        } else {
            Proof::Key {
                label: transcript_of_hellos(&[&self.m1, &m2[..prefix]], channel),
                wrapped: wrapped.to_vec(),
            }
        };
        let mut messages = self.m1;
        messages.put(m2);
        Ok(Unproved {
            local: self.local,
            server: self.server,
            server_key,
            recognised,
            choice: hello.choice,
            secret: self.secret,
            shared: ml_kem.into_iter().chain([x25519]).collect(),
            proof,
            messages,
            channel,
            deadline: self.deadline,
        })
    }

    fn check_choice(&self, hello: &ServerHello) -> Result<(), HandshakeError> {
        let best = hello.offer.best_suite(&self.local.suites).ok_or(HandshakeError::Downgrade)?;
        let expected = Choice {
            version: PROTOCOL_VERSION,
            suite: best,
            aes: self.local.aes.max(hello.offer.aes),
            mode: self.mode,
        };
        if hello.choice == expected && hello.offer.versions.contains(&PROTOCOL_VERSION) {
            Ok(())
        } else {
            Err(HandshakeError::Downgrade)
        }
    }
}

/// The means by which the client proves itself.
#[derive(Debug)]
pub(super) enum Proof {
    /// Its RSA key, for which `k_s` is encrypted.
    Key { label: Hash, wrapped: Vec<u8> },
    /// The secrets of a ticket: that of the previous session, and the shared
    /// secret that only the owner of the holder key can compute.
    Ticket { psk: Secret<32>, held: Secret<32>, holder: Arc<Holder> },
}

/// M2 is valid; the client has yet to prove itself.
#[derive(Debug)]
pub struct Unproved {
    local: Arc<Local>,
    server: ServiceId,
    server_key: PublicKey,
    recognised: Recognised,
    choice: Choice,
    secret: MeshSecret,
    pub(super) shared: Vec<Secret<32>>,
    pub(super) proof: Proof,
    messages: Vec<u8>,
    channel: Channel,
    deadline: Timestamp,
}

impl Unproved {
    /// Whether [`prove`](Self::prove) is fast: the session is resumed.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        matches!(self.proof, Proof::Ticket { .. })
    }

    /// Makes M3. A full handshake does one RSA private operation here, and the
    /// first one with this server a second; a resumption does none.
    pub fn prove(self, now: Timestamp) -> Result<(Vec<u8>, AwaitFinish), HandshakeError> {
        self.local.check_deadline(self.deadline, now)?;
        let resumed = self.is_resumed();
        let th2 = transcript_of_hellos(&[&self.messages], self.channel);
        let stage = |proof: &[&Secret<32>]| ClientStage::new(&self.secret, th2, &self.shared, proof);
        let (stage, k_c, wrapped, holder) = match self.proof {
            Proof::Key { label, wrapped } => {
                let stage = stage(&[&unwrap_secret(&self.local.key, &wrapped, &label)?]);
                let k_c = Secret::random()?;
                let wrapped = self.server_key.oaep_encrypt(k_c.as_bytes(), &th2)?;
                (stage, k_c, wrapped, self.local.holders.of(&self.server, &self.local.key)?)
            }
            Proof::Ticket { psk, held, holder } => (stage(&[&psk, &held]), psk, Vec::new(), holder),
        };
        let session = stage.session_id();
        let thumbprint = self.local.key.public_key().thumbprint();
        let token = TokenIssuer::new(
            stage.token_key().as_bytes(),
            TokenType::Handshake,
            &self.local.id,
            &self.server,
            &session,
            thumbprint,
            self.local.token_lifetime,
        )
        .issue(now)?;
        let plaintext = Sealed {
            token: token.as_bytes(),
            parameters: self.local.parameters,
            holder: Some(holder.signed().clone()),
            ticket: None,
        };
        let sealed = stage.sealing()?.seal(&[&th2[..], &wrapped].concat(), plaintext.encode()?)?;

        let mut m3 = messages::begin(CLIENT_FINISH);
        m3.put_vec16(&wrapped)?;
        m3.put_vec16(&sealed)?;
        messages::finish(&mut m3, MAC_LEN);
        let finished = stage.finished().sign(&[&transcript(&[&self.messages, &m3])]);
        m3.put(&finished);

        let mut messages = self.messages;
        messages.put(&m3);
        let waiting = AwaitFinish {
            local: self.local,
            stage: stage.server_stage(transcript(&[&messages]), &k_c),
            messages,
            deadline: self.deadline,
            established: Pending {
                session,
                server: self.server,
                server_key: self.server_key,
                recognised: self.recognised,
                choice: self.choice,
                holder,
                resumed,
            },
        };
        Ok((m3, waiting))
    }
}

#[derive(Debug)]
struct Pending {
    session: crate::id::SessionId,
    server: ServiceId,
    server_key: PublicKey,
    recognised: Recognised,
    choice: Choice,
    holder: Arc<Holder>,
    resumed: bool,
}

/// M3 is sent; the server has yet to prove itself.
#[derive(Debug)]
pub struct AwaitFinish {
    local: Arc<Local>,
    stage: ServerStage,
    messages: Vec<u8>,
    deadline: Timestamp,
    established: Pending,
}

impl AwaitFinish {
    /// Checks M4; the server is proved.
    pub fn on_finish(self, m4: &[u8], now: Timestamp) -> Result<Established, HandshakeError> {
        self.local.check_deadline(self.deadline, now)?;
        let mut reader = messages::body(m4, SERVER_FINISH)?;
        let sealed = reader.vec16()?;
        let finished = reader.bytes(MAC_LEN)?;
        reader.end()?;
        let (covered, _) = split_mac(m4)?;
        if !self.stage.finished().verify(&[&transcript(&[&self.messages, covered])], finished) {
            return Err(HandshakeError::Finished);
        }
        let plaintext = self.stage.sealing()?.open(&self.stage.th3, sealed)?;
        let Sealed { token, parameters, ticket, .. } = Sealed::decode(&plaintext)?;
        let Pending { session, server, server_key, recognised, choice, holder, resumed } = self.established;
        let claims = TokenVerifier::new(
            self.stage.token_key().as_bytes(),
            TokenType::Handshake,
            &server,
            &self.local.id,
            &session,
            server_key.thumbprint(),
            MAX_TOKEN_LIFETIME,
        )
        .verify(token, now)?;
        let ticket = ticket.map(|sealed| Ticket {
            sealed: sealed.to_vec(),
            psk: self.stage.resumption(),
            holder,
            server_key: server_key.thumbprint(),
        });
        let (seal, open) = self.stage.traffic(&transcript(&[&self.messages, m4]));
        Ok(Established {
            session,
            peer: server,
            peer_key: server_key,
            claims,
            trust: recognised.trust,
            former_key: recognised.former,
            certified: recognised.certified,
            suite: choice.suite,
            aes: choice.aes,
            parameters,
            seal,
            open,
            own_thumbprint: self.local.key.public_key().thumbprint(),
            resumed,
            ticket,
        })
    }
}
