//! The server's side.

use std::sync::Arc;

use super::{
    Established, Expectation, HandshakeError, Local, MAX_TOKEN_LIFETIME, MeshSecret, Mode, Parameters, Suite,
    messages::{
        self, Choice, ClientFinish, ClientHello, MAC_LEN, Offer, SERVER_FINISH, Sealed, ServerHello, Shares,
        Shown, split_mac,
    },
    parameters::PROTOCOL_VERSION,
    recognise::recognise,
    resumption::{Note, SignedHolder, TICKET_LIFETIME},
    schedule::{Channel, ClientStage, Exporter, transcript, transcript_of_hellos},
    trust::Recognised,
    unwrap_secret,
};
use crate::{
    auth::{Claims, TokenIssuer, TokenType, TokenVerifier},
    clock::Timestamp,
    crypto::{
        kem::{X25519Secret, encapsulate, is_unusable_share},
        rsa::PublicKey,
        secret::Secret,
    },
    id::ServiceId,
    wire::Write,
};

/// Answers handshakes.
#[derive(Debug)]
pub struct Responder;

impl Responder {
    /// Checks M1 and makes M2, with public operations only. `expect` returns
    /// the expectation about a peer's key. It is called only with a valid id.
    pub fn on_hello(
        local: Arc<Local>,
        m1: &[u8],
        expect: impl FnOnce(&ServiceId) -> Expectation,
        now: Timestamp,
    ) -> Result<(Vec<u8>, AwaitProof), HandshakeError> {
        Self::look_at(local, m1, now)?.answer(expect, now)
    }

    /// Whether M1 carries a certificate; false also for a message that is no M1.
    #[must_use]
    pub fn shows_certificate(m1: &[u8]) -> bool {
        ClientHello::decode(m1).is_ok_and(|hello| Mode::from_number(hello.mode) == Some(Mode::Certificate))
    }

    /// Does the cheap checks of M1: its form, its addressee, and whether its
    /// sender knows the mesh secret, if there is one.
    pub fn look_at(local: Arc<Local>, m1: &[u8], now: Timestamp) -> Result<Hello, HandshakeError> {
        let hello = ClientHello::decode(m1)?;
        if hello.shares.server != local.id {
            return Err(HandshakeError::WrongTarget);
        }
        if hello.shares.client == local.id {
            return Err(HandshakeError::SelfId);
        }
        if !hello.offer.versions.contains(&PROTOCOL_VERSION) {
            return Err(HandshakeError::Version);
        }
        let mode = local.mode();
        if Mode::from_number(hello.mode) != Some(mode) {
            return Err(HandshakeError::Mode);
        }
        let secret = match mode {
            Mode::Pinned | Mode::Certificate => MeshSecret::none(),
            // An unknown secret id and a wrong MAC under a known one are the
            // same failure at the same cost.
            Mode::Secret => {
                let known = local.secrets.iter().find(|secret| secret.id == hello.shares.secret_id);
                known
                    .filter(|secret| secret.is_live(now))
                    .or(local.secrets.first())
                    .cloned()
                    .ok_or(HandshakeError::HelloMac)?
            }
        };
        let (covered, mac) = split_mac(m1)?;
        if !secret.hello_key("client hello").verify(&[covered], mac) {
            let retired = local.has_retired(hello.shares.secret_id, now);
            return Err(if retired { HandshakeError::SecretRetired } else { HandshakeError::HelloMac });
        }
        Ok(Hello { local, m1: m1.to_vec(), parsed: hello, channel: mode.into(), secret })
    }
}

/// M1 of a peer that knows the mesh secret, if there is one. Its answer costs
/// public operations.
pub struct Hello {
    local: Arc<Local>,
    m1: Vec<u8>,
    parsed: ClientHello,
    channel: Channel,
    secret: MeshSecret,
}

impl Hello {
    /// Its MAC, which identifies the message: nobody can make another M1 with the same MAC.
    #[must_use]
    pub fn mac(&self) -> [u8; MAC_LEN] {
        self.m1.last_chunk().copied().unwrap_or_default()
    }

    /// Binds the handshake to the TLS connection beneath, if there is one. The handshake fails if the
    /// client's end is another TLS connection.
    #[must_use]
    pub fn bound_to(self, exporter: Option<Exporter>) -> Self {
        Self { channel: Channel { exporter, ..self.channel }, ..self }
    }

    /// Checks the rest of M1 and makes M2, as [`Responder::on_hello`] does.
    pub fn answer(
        self,
        expect: impl FnOnce(&ServiceId) -> Expectation,
        now: Timestamp,
    ) -> Result<(Vec<u8>, AwaitProof), HandshakeError> {
        let Self { local, m1, parsed: hello, channel, secret } = self;
        let mode = channel.mode;
        let client = &hello.shares.client;
        let (client_key, recognised) =
            recognise(&local, client, &hello.shares, || expect(client), mode, now)?;
        let choice = Choice {
            version: PROTOCOL_VERSION,
            suite: hello.offer.best_suite(&local.suites).ok_or(HandshakeError::Downgrade)?,
            aes: local.aes.max(hello.offer.aes),
            mode,
        };
        // An invalid ticket is no reason to refuse its client: the handshake becomes a full one.
        let ticket = hello.shares.resumption.as_deref();
        let note = ticket.and_then(|ticket| local.tickets.take(ticket, client, &client_key, now));
        let name = recognised.certified.as_ref().map(|certified| certified.name.as_str());
        let note = note.filter(|note| note.name.as_deref() == name);
        let checked = Checked { secret, choice, channel, client_key, recognised, note };
        answer(local, &m1, &hello.shares, checked, now)
    }
}

/// The findings of the checks of M1.
struct Checked {
    secret: MeshSecret,
    choice: Choice,
    channel: Channel,
    client_key: PublicKey,
    recognised: Recognised,
    note: Option<Note>,
}

/// Makes M2, with public operations only.
fn answer(
    local: Arc<Local>,
    m1: &[u8],
    client: &Shares,
    checked: Checked,
    now: Timestamp,
) -> Result<(Vec<u8>, AwaitProof), HandshakeError> {
    let Checked { secret, choice, channel, client_key, recognised, note } = checked;
    let ml_kem = match choice.suite {
        Suite::Hybrid => Some(encapsulate(&client.ml_kem).map_err(|_| HandshakeError::BadShare)?),
        Suite::X25519 => None,
    };
    let x25519 = X25519Secret::generate()?;
    let share = x25519.public_share();
    let (agreed, held) = match &note {
        None => x25519.agree(&client.x25519).map(|agreed| (agreed, None)),
        Some(note) => {
            x25519.agree_twice(&client.x25519, note.holder.share()).map(|(agreed, held)| (agreed, Some(held)))
        }
    }
    .map_err(|_| HandshakeError::BadShare)?;
    let (ciphertext, kem_secret) = ml_kem.unzip();

    let mut m2 = ServerHello {
        choice,
        offer: Offer::new(&local.suites, local.aes),
        shares: Shares {
            client: client.client.clone(),
            server: local.id.clone(),
            nonce: *Secret::random()?.as_bytes(),
            x25519: share,
            ml_kem: ciphertext.unwrap_or_default(),
            identity: Shown::of(&local),
            secret_id: secret.id,
            resumption: note.as_ref().map(|_| Vec::new()),
            succession: local.succession.as_ref().map(|succession| succession.as_bytes().to_vec()),
        },
    }
    .encode(if note.is_some() { 0 } else { client_key.size() })?;
    let k_s = Secret::random()?;
    let wrapped = match &note {
        None => client_key.oaep_encrypt(k_s.as_bytes(), &transcript_of_hellos(&[m1, &m2], channel))?,
        Some(_) => Vec::new(),
    };
    m2.put_vec16(&wrapped)?;
    let mac = secret.hello_key("server hello").sign(&[&transcript(&[m1]), &m2]);
    m2.put(&mac);

    let messages = [m1, &m2].concat();
    let shared: Vec<Secret<32>> = kem_secret.into_iter().chain([agreed]).collect();
    let proof = match (&note, &held) {
        (Some(note), Some(held)) => vec![&note.psk, held],
        _ => vec![&k_s],
    };
    let th2 = transcript_of_hellos(&[&messages], channel);
    let keys = ClientStage::new(&secret, th2, &shared, &proof);
    let descent = note.as_ref().map_or(now + TICKET_LIFETIME, |note| note.expires);
    let expires = recognised.certified.as_ref().map_or(descent, |certified| descent.min(certified.expires));
    let state = AwaitProof {
        deadline: local.deadline(now),
        local,
        client: client.client.clone(),
        client_key,
        recognised,
        choice,
        channel,
        stage: keys,
        messages,
        expires,
        psk: note.map(|note| note.psk),
    };
    Ok((m2, state))
}

/// M2 is sent; the client has yet to prove itself.
#[derive(Debug)]
pub struct AwaitProof {
    local: Arc<Local>,
    client: ServiceId,
    client_key: PublicKey,
    recognised: Recognised,
    choice: Choice,
    channel: Channel,
    stage: ClientStage,
    messages: Vec<u8>,
    /// The end of all sessions that descend from this one by resumption.
    pub(super) expires: Timestamp,
    /// The secret of the previous session, if this one is resumed.
    psk: Option<Secret<32>>,
    deadline: Timestamp,
}

impl AwaitProof {
    /// Checks M3, which proves the client. It does no private operation yet.
    pub fn on_finish(self, m3: &[u8], now: Timestamp) -> Result<Proved, HandshakeError> {
        self.local.check_deadline(self.deadline, now)?;
        let ClientFinish { wrapped, sealed, finished } = ClientFinish::decode(m3)?;
        let (covered, _) = split_mac(m3)?;
        if !self.stage.finished().verify(&[&transcript(&[&self.messages, covered])], finished) {
            return Err(HandshakeError::Finished);
        }
        if self.psk.is_some() && !wrapped.is_empty() {
            return Err(HandshakeError::Format);
        }
        let th2 = transcript_of_hellos(&[&self.messages], self.channel);
        let plaintext = self.stage.sealing()?.open(&[&th2[..], wrapped].concat(), sealed)?;
        let Sealed { token, parameters, holder, .. } = Sealed::decode(&plaintext)?;
        let claims = TokenVerifier::new(
            self.stage.token_key().as_bytes(),
            TokenType::Handshake,
            &self.client,
            &self.local.id,
            &self.stage.session_id(),
            self.client_key.thumbprint(),
            MAX_TOKEN_LIFETIME,
        )
        .verify(token, now)?;
        let mut messages = self.messages.clone();
        messages.put(m3);
        let wrapped = wrapped.to_vec();
        Ok(Proved { state: self, wrapped, label: th2, claims, parameters, holder, messages })
    }
}

/// The client is proved; the server has yet to prove itself.
#[derive(Debug)]
pub struct Proved {
    state: AwaitProof,
    pub(super) wrapped: Vec<u8>,
    label: [u8; 32],
    claims: Claims,
    parameters: Parameters,
    /// The holder key with which the client will prove itself, if it wants a ticket.
    pub(super) holder: Option<SignedHolder>,
    messages: Vec<u8>,
}

impl Proved {
    /// The proved client.
    #[must_use]
    pub fn client(&self) -> &ServiceId {
        &self.state.client
    }

    /// Whether [`accept`](Self::accept) is fast: the session is resumed.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.state.psk.is_some()
    }

    /// Makes M4. A full handshake does this side's RSA private operation here.
    pub fn accept(self, now: Timestamp) -> Result<(Vec<u8>, Established), HandshakeError> {
        let AwaitProof {
            local, client, client_key, recognised, choice, stage, expires, psk, deadline, ..
        } = self.state;
        local.check_deadline(deadline, now)?;
        let resumed = psk.is_some();
        let k_c = match psk {
            Some(psk) => psk,
            None => unwrap_secret(&local.key, &self.wrapped, &self.label)?,
        };
        let session = stage.session_id();
        let stage = stage.server_stage(transcript(&[&self.messages]), &k_c);
        let thumbprint = local.key.public_key().thumbprint();
        let token = TokenIssuer::new(
            stage.token_key().as_bytes(),
            TokenType::Handshake,
            &local.id,
            &client,
            &session,
            thumbprint,
            local.token_lifetime,
        )
        .issue(now)?;
        // A share of small order gives a secret that everybody knows, so it would prove nothing.
        let holder = self.holder.filter(|holder| !is_unusable_share(holder.share()));
        let ticket = match holder {
            None => None,
            Some(holder) => Some(local.tickets.give(&Note {
                client: client.clone(),
                client_key: client_key.thumbprint(),
                name: recognised.certified.as_ref().map(|certified| certified.name.clone()),
                holder,
                psk: stage.resumption(),
                expires,
            })?),
        };
        let plaintext = Sealed {
            token: token.as_bytes(),
            parameters: local.parameters,
            holder: None,
            ticket: ticket.as_deref(),
        };
        let sealed = stage.sealing()?.seal(&stage.th3, plaintext.encode()?)?;
        let mut m4 = messages::begin(SERVER_FINISH);
        m4.put_vec16(&sealed)?;
        messages::finish(&mut m4, MAC_LEN);
        let finished = stage.finished().sign(&[&transcript(&[&self.messages, &m4])]);
        m4.put(&finished);
        let (open, seal) = stage.traffic(&transcript(&[&self.messages, &m4]));
        let established = Established {
            session,
            peer: client,
            peer_key: client_key,
            claims: self.claims,
            trust: recognised.trust,
            former_key: recognised.former,
            certified: recognised.certified,
            suite: choice.suite,
            aes: choice.aes,
            parameters: self.parameters,
            seal,
            open,
            own_thumbprint: thumbprint,
            resumed,
            ticket: None,
        };
        Ok((m4, established))
    }
}
