//! The code and the reason of every error of this crate.
//!
//! Each module has an error type of its own; each implements [`Coded`]. A
//! [`Code`] tells a program what kind of failure it is, a [`Reason`] which one.

mod code;

use std::{error::Error, fmt, time::Duration};

pub use self::code::Code;

/// Whether the same call can succeed later, and without harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Not until something has been repaired.
    Never,
    /// Later, without a change.
    Later,
    /// Only if the request never reached its handler. The error says whether it did.
    IfNotRun,
}

macro_rules! reasons {
    ($(
        $(#[doc = $doc:literal])+
        $variant:ident = $text:literal, [$($code:ident),*], $retry:ident, $remedy:literal;
    )+) => {
        /// The stable detail of an error, as `reason` in `google.rpc.ErrorInfo`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason { $($(#[doc = $doc])+ #[doc = concat!("\n", $remedy)] $variant,)+ }

        impl Reason {
            /// Every reason, in the order they are declared.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable upper-case name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Its meaning, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// Its repair.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)+ }
            }

            /// The codes it comes with; none where any is possible.
            #[must_use]
            pub const fn codes(self) -> &'static [Code] {
                match self { $(Self::$variant => &[$(Code::$code),*],)+ }
            }

            /// Whether the same call can succeed later, and without harm.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self { $(Self::$variant => Retry::$retry,)+ }
            }
        }
    };
}

reasons! {
    /// An option is missing, unknown or out of range.
    Config = "CONFIG", [InvalidArgument], Never,
        "Correct the option that the message names by its path.";
    /// An argument of a call to this library is wrong.
    Argument = "ARGUMENT", [InvalidArgument, FailedPrecondition, AlreadyExists], Never,
        "Correct the argument or the order of the calls, as the message says.";
    /// A secret is too short, or too regular, to protect anything.
    WeakSecret = "WEAK_SECRET", [InvalidArgument], Never,
        "Use the output of the command in the message: 32 random bytes.";
    /// A service id is outside the allowed alphabet or length.
    IdSyntax = "ID_SYNTAX", [InvalidArgument, Unauthenticated], Never,
        "Use the characters and the length that the message names.";
    /// A file that an option names cannot be read, or its contents are not what the option asks for.
    File = "FILE", [InvalidArgument], Never,
        "Correct the file, as the message says, or the path in the configuration.";
    /// The key directory, or a file in it, is open to other users.
    KeydirMode = "KEYDIR_MODE", [FailedPrecondition], Never,
        "Run the `chmod` of the message, after making sure that nobody else wrote there.";
    /// The key directory, or a file in it, belongs to another user.
    KeydirOwner = "KEYDIR_OWNER", [FailedPrecondition], Never,
        "Run as the owner of the directory, or set `paths.keysDir` to a directory of your own.";
    /// A path of the key directory is a symbolic link, a pipe or a device.
    KeydirType = "KEYDIR_TYPE", [FailedPrecondition], Never,
        "Put a regular file or directory in its place, or set `paths.keysDir` to another directory.";
    /// A file of the key directory is damaged.
    KeydirCorrupt = "KEYDIR_CORRUPT", [FailedPrecondition], Never,
        "Restore the file from a backup, or remove it to have a new one made; peers then have to accept a new key.";
    /// The stored key has another size than the configuration asks for.
    KeydirKeySize = "KEYDIR_KEY_SIZE", [FailedPrecondition], Never,
        "Set `security.rsaKeySize` to the size of the stored key, or rotate the key.";
    /// The key directory holds as many known peers as the limit allows.
    KeydirFull = "KEYDIR_FULL", [ResourceExhausted], Never,
        "Remove the files of peers that are gone from the key directory.";
    /// The key directory cannot be read or written.
    KeydirIo = "KEYDIR_IO", [FailedPrecondition], Never,
        "Correct the problem that the operating system reports in the message.";
    /// No directory for keys is known.
    KeydirUnknown = "KEYDIR_UNKNOWN", [FailedPrecondition], Never,
        "Set `HOME`, `XDG_STATE_HOME` or `paths.keysDir`.";
    /// A key has the wrong format, type, size or exponent.
    BadKey = "BAD_KEY", [InvalidArgument], Never,
        "Give an RSA key of 2048 to 4096 bits in PEM.";
    /// An envelope, or a part of it, is not well formed.
    EnvelopeFormat = "ENVELOPE_FORMAT", [InvalidArgument], Never,
        "Pass the envelope as `encrypt` returned it.";
    /// Decryption failed. The failed check is deliberately not named.
    DecryptFailed = "DECRYPT_FAILED", [InvalidArgument], Never,
        "Check that the recipient's and the sender's keys are the right ones, and that nothing was changed on the way.";
    /// A cryptographic operation of the library failed.
    Crypto = "CRYPTO", [Internal], Never,
        "Please report it.";
    /// The peer claims this service's own id.
    SelfId = "SELF_ID", [Unauthenticated], Never,
        "Give each service an id of its own.";
    /// The peer's key is not the pinned one.
    KeyMismatch = "KEY_MISMATCH", [Unauthenticated], Never,
        "Ask the peer's owner whether its key has changed, then update `publicKey`; otherwise somebody poses as it.";
    /// The peer's key differs from its remembered key.
    PeerKeyChanged = "PEER_KEY_CHANGED", [Unauthenticated], Never,
        "If the peer's key was changed on purpose, run the command of the message; otherwise somebody poses as it.";
    /// The peer shows a key that is remembered as another service's.
    PeerKeyInUse = "PEER_KEY_IN_USE", [Unauthenticated], Never,
        "Give each service a key of its own; if the other service was renamed, run the command of the message.";
    /// This peer cannot be trusted, because neither a secret nor a pin is configured for it.
    UnknownPeer = "UNKNOWN_PEER", [Unauthenticated], Never,
        "Add the peer's `publicKey` to `discovery.services`, or give both sides the same `security.jwtSecret`.";
    /// The peer does not know the mesh secret.
    HelloMac = "HELLO_MAC", [Unauthenticated], Never,
        "Give both sides the same `security.jwtSecret`, or run both as one user with one state directory.";
    /// The message is addressed to another service.
    WrongTarget = "WRONG_TARGET", [Unauthenticated], Never,
        "Check which service listens at the address in `discovery.services`.";
    /// The peer's public key is unacceptable.
    BadPeerKey = "BAD_PEER_KEY", [Unauthenticated], Never,
        "The peer needs an RSA key of 2048 to 4096 bits with e = 65537.";
    /// The peer's ephemeral share is unacceptable.
    BadShare = "BAD_SHARE", [Unauthenticated, InvalidArgument], Never,
        "The peer is faulty or hostile; if it runs this package, please report it.";
    /// The peer did not prove that it holds its key.
    Finished = "FINISHED", [Unauthenticated], Never,
        "Somebody poses as the peer, or changed the handshake on its way. Look at the network between the two.";
    /// A certificate or a delegation has ended, or has not begun.
    CertExpired = "CERT_EXPIRED", [Unauthenticated, InvalidArgument], Never,
        "Renew the certificate of the service that the message names; if it is valid there, set the clocks (NTP).";
    /// A certificate leads to no trust anchor.
    CertUntrusted = "CERT_UNTRUSTED", [Unauthenticated, InvalidArgument], Never,
        "Put the anchor into `security.certificate.ca`, and the intermediates behind the leaf in `security.certificate.cert` of the peer.";
    /// A certificate is malformed, or is not for this purpose.
    CertInvalid = "CERT_INVALID", [Unauthenticated, InvalidArgument], Never,
        "Have the certificate issued again, as the message and the guide to certificates say.";
    /// A certificate does not name the service that it is used for.
    CertName = "CERT_NAME", [Unauthenticated, InvalidArgument], Never,
        "Compare the SPIFFE id of the certificate with `serviceId`, and with `security.certificate.id` of the side that refuses it.";
    /// The certificate's key did not sign for this service, key or time.
    CertDelegation = "CERT_DELEGATION", [Unauthenticated, InvalidArgument], Never,
        "The peer is faulty or hostile; if it runs this package, please report it.";
    /// A certificate, its name or the key it names is revoked.
    Revoked = "REVOKED", [Unauthenticated, InvalidArgument], Never,
        "Give the service a new certificate with a new key, if it may still be a member.";
    /// The revocation lists do not cover a certificate: a list is missing or has expired.
    CrlUnusable = "CRL_UNUSABLE", [Unauthenticated, InvalidArgument], Never,
        "Renew `security.certificate.crl`, with a list of each issuer; `crlPolicy: 'warn'` accepts certificates without a list.";
    /// A certificate, key, bundle or revocation list of this service cannot be used.
    CertMaterial = "CERT_MATERIAL", [InvalidArgument], Never,
        "Correct the file or the text of the option that the message names.";
    /// The SPIFFE Workload API gives this service no identity.
    WorkloadApi = "WORKLOAD_API", [FailedPrecondition], Never,
        "Start the agent where `security.certificate.workloadApi` says, and register the service there.";
    /// The authority cannot carry out the request, because of its directory, its keys or its limits.
    Authority = "AUTHORITY", [FailedPrecondition, AlreadyExists, NotFound, ResourceExhausted, Internal], Never,
        "Do what the message says; the guide to certificates has a section about the built-in authority.";
    /// A join token is malformed, used up, expired, or for another service or authority.
    JoinToken = "JOIN_TOKEN", [Unauthenticated, InvalidArgument], Never,
        "Make a token for this service at its authority: `npx secure-stack-mesh ca token <serviceId>`.";
    /// A certificate signing request is malformed, or asks for a key that is not accepted.
    CertRequest = "CERT_REQUEST", [InvalidArgument], Never,
        "Make the request with ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits, and sign it with that key.";
    /// The handshake agreed on weaker parameters than both sides support.
    Downgrade = "DOWNGRADE", [Unauthenticated], Never,
        "Somebody changed the handshake on its way. Look at the network between the two.";
    /// The two sides use different kinds of trust.
    Mode = "MODE", [Unauthenticated], Never,
        "Give both sides the same `security.jwtSecret`, or neither.";
    /// A peer that has proved a certificate before now offers a weaker trust.
    TrustDowngrade = "TRUST_DOWNGRADE", [Unauthenticated], Never,
        "Give the peer its certificate again. If the peer is no longer meant to have one, remove the file that the message names.";
    /// One side requires TLS, and the other does not support it.
    TlsRequired = "TLS_REQUIRED", [FailedPrecondition], Never,
        "Give the side without TLS a certificate: security.certificate, or security.tls with cert, key and ca.";
    /// No protocol version in common.
    Version = "VERSION", [FailedPrecondition], Never,
        "Install versions of this package on both sides that have a protocol version in common.";
    /// A handshake message that does not belong to the current step.
    HandshakeState = "HANDSHAKE_STATE", [Unauthenticated], Never,
        "The peer is faulty or hostile; if it runs this package, please report it.";
    /// The handshake was not complete in time.
    HandshakeExpired = "HANDSHAKE_EXPIRED", [DeadlineExceeded], Never,
        "Look at the load of both sides and at the network between them.";
    /// A handshake message that is not well formed.
    HandshakeFormat = "HANDSHAKE_FORMAT", [Unauthenticated, Unimplemented], Never,
        "Check that a service of this package listens at that address.";
    /// The peer refused the handshake. The cause is in the peer's log.
    HandshakeRefused = "HANDSHAKE_REFUSED", [Unauthenticated], Never,
        "Look for `handshake.refused` in the log of the peer; it names the reason.";
    /// Too many handshakes or sessions at once.
    Busy = "BUSY", [ResourceExhausted], Later,
        "Try again after `retryAfterMs`, or raise the limit the peer's log names.";
    /// The token's algorithm is not the pinned one.
    JwtAlg = "JWT_ALG", [Unauthenticated], Never,
        "Make the token with this package, or with the algorithm of the verifier.";
    /// The token is of another type.
    JwtTyp = "JWT_TYP", [Unauthenticated], Never,
        "Use each token only for its own purpose.";
    /// The token is for another audience.
    JwtAud = "JWT_AUD", [Unauthenticated], Never,
        "Make the token for the service that verifies it.";
    /// The token is from another issuer.
    JwtIss = "JWT_ISS", [Unauthenticated], Never,
        "Verify it as a token of the service that made it.";
    /// The token belongs to another session.
    JwtSid = "JWT_SID", [Unauthenticated], Never,
        "Use the token in the session that it was made for.";
    /// The token is bound to another key.
    JwtCnf = "JWT_CNF", [Unauthenticated], Never,
        "Use the token together with the key that it was made for.";
    /// The token is expired or its lifetime is unacceptable.
    JwtExp = "JWT_EXP", [Unauthenticated], Never,
        "Make a new token, with a lifetime the verifier accepts.";
    /// The token is not valid yet.
    JwtNbf = "JWT_NBF", [Unauthenticated], Never,
        "Set both clocks, or wait.";
    /// The two clocks differ by more than is allowed.
    ClockSkew = "CLOCK_SKEW", [Unauthenticated], Never,
        "Set both clocks (NTP).";
    /// The token's header has a parameter that is not supported.
    JwtHeader = "JWT_HEADER", [Unauthenticated], Never,
        "Make the token without `jku`, `x5u`, `crit` and the like.";
    /// The token is not a well-formed JWT.
    JwtFormat = "JWT_FORMAT", [Unauthenticated], Never,
        "Pass the whole token, without a change.";
    /// The token's signature is wrong.
    JwtSig = "JWT_SIG", [Unauthenticated], Never,
        "Verify with the secret or key that it was made with.";
    /// The token was made under a previous secret whose grace is over.
    SecretRetired = "SECRET_RETIRED", [Unauthenticated], Never,
        "Give this side the current secret; the grace period of the former one is over.";
    /// A record was received a second time.
    Replay = "REPLAY", [Unauthenticated], Never,
        "Look at the network: somebody repeats records.";
    /// A record that was not made by the peer.
    RecordAuth = "RECORD_AUTH", [Unauthenticated], Never,
        "Look at the network: somebody changes or inserts records.";
    /// A record, or a message in it, that is not well formed.
    RecordFormat = "RECORD_FORMAT", [Unauthenticated], Never,
        "The peer is faulty or hostile; if it runs this package, please report it.";
    /// An authentic record is missing before this one.
    SequenceGap = "SEQUENCE_GAP", [DataLoss], Never,
        "Look at the network: somebody drops records.";
    /// The peer changes keys more often than is reasonable.
    RekeyLimit = "REKEY_LIMIT", [Unauthenticated], Never,
        "The peer is faulty or hostile; if it runs this package, please report it.";
    /// A message is larger than the limit.
    TooLarge = "TOO_LARGE", [ResourceExhausted, InvalidArgument], Never,
        "Send less at once, as a stream, or raise `limits.maxMessageBytes` on the side that the message names.";
    /// The memory for a peer, or for all peers, is used up.
    MemoryLimit = "MEMORY_LIMIT", [ResourceExhausted], IfNotRun,
        "Send less at once, or later; find out which side does not read; raise `limits.maxMemoryBytes` if there is memory.";
    /// The connection to the peer was lost.
    SessionLost = "SESSION_LOST", [Unavailable, Cancelled], IfNotRun,
        "`retryable` says whether the request never ran; set `idempotent` where running twice does no harm.";
    /// The session's time is over.
    SessionExpired = "SESSION_EXPIRED", [FailedPrecondition], Never,
        "Create a new session.";
    /// No such session.
    SessionNotFound = "SESSION_NOT_FOUND", [NotFound], Never,
        "Create the session first; it may have been idle too long.";
    /// Too many sessions.
    SessionLimit = "SESSION_LIMIT", [ResourceExhausted], Never,
        "Close sessions that are not needed, or raise `maxSessions`.";
    /// Too many calls in flight.
    CallLimit = "CALL_LIMIT", [ResourceExhausted], Later,
        "Try again after `retryAfterMs`, or make fewer calls at once.";
    /// The service had too little time or too much to do for the request, and did not run it.
    Shed = "SHED", [ResourceExhausted], Later,
        "Ask another instance, as the mesh does by itself; give the call more time, or the service more instances.";
    /// The chain of calls is longer than its limit.
    CallDepth = "CALL_DEPTH", [FailedPrecondition], Never,
        "Break the cycle that the message names; raise `limits.maxCallDepth` if the chain is meant to be so long.";
    /// The method is not for this caller.
    PermissionDenied = "PERMISSION_DENIED", [PermissionDenied], Never,
        "If the caller may call the method, permit it in `authorization` and in the handler's `allow`; the log of the service names the rule.";
    /// The caller makes more requests than its quota allows.
    RateLimited = "RATE_LIMITED", [ResourceExhausted], Later,
        "Try again after `retryAfterMs`, or raise `resilience.rateLimit` of the service.";
    /// The instances of the service have failed too often, so they get no calls for a while.
    CircuitOpen = "CIRCUIT_OPEN", [Unavailable], Later,
        "Try again after `retryAfterMs`; find out why the service failed.";
    /// Audit entries arrive faster than they can be delivered.
    AuditLimit = "AUDIT_LIMIT", [ResourceExhausted], Never,
        "Write fewer entries, or give the adapter a faster destination or a longer queue.";
    /// An audit entry could not be delivered.
    AuditDelivery = "AUDIT_DELIVERY", [Unavailable, FailedPrecondition], Never,
        "Repair the destination that the message names. The entry is delivered again if the adapter says so.";
    /// The peer cannot be reached.
    ConnectFailed = "CONNECT_FAILED", [Unavailable], Later,
        "Check that the service runs and that the address in `discovery.services` is right.";
    /// No session with the peer was established in time.
    ConnectTimeout = "CONNECT_TIMEOUT", [Unavailable], Later,
        "Check the address in `discovery.services`, that a service of this package listens there, and the network between.";
    /// Another kind of server listens at the peer's address.
    WrongPort = "WRONG_PORT", [FailedPrecondition], Never,
        "Give `discovery.services` the port that the service's mesh listens on; the message says what is at this one.";
    /// Discovery knows no service of this name.
    UnknownService = "UNKNOWN_SERVICE", [NotFound], Never,
        "Add the service to `discovery.services`, or register it.";
    /// Discovery has reported no instance of the service, or has not answered yet.
    NoInstance = "NO_INSTANCE", [Unavailable], Later,
        "Try again later; check that the provider of discovery works and that the service runs.";
    /// The source of the service's instances has been away for longer than its last list may be used.
    DiscoveryStale = "DISCOVERY_STALE", [Unavailable], Later,
        "Mend the source of discovery, which the log names; `discovery.maxStaleMs` says for how long its last list is used.";
    /// The service has no handler for this method.
    MethodNotFound = "METHOD_NOT_FOUND", [Unimplemented], Never,
        "Check the method's name, and that the service has a handler for it.";
    /// The method is for another kind of call.
    CallKind = "CALL_KIND", [Unimplemented], Never,
        "Call it with the method that fits: `call`, `serverStream`, `clientStream` or `bidiStream`.";
    /// The input is not what the method's schema asks for.
    Validation = "VALIDATION", [InvalidArgument, Internal], Never,
        "Correct the input; `data` holds the schema's issues.";
    /// The idempotency key was used before, with another input.
    IdempotencyMismatch = "IDEMPOTENCY_MISMATCH", [InvalidArgument], Never,
        "Use a new key for each input.";
    /// The call with this idempotency key has run, and its outcome was not kept.
    AlreadyExists = "ALREADY_EXISTS", [AlreadyExists], Never,
        "Do not repeat the call under another key; read the result by another method.";
    /// A payload that cannot be encoded or decoded.
    Payload = "PAYLOAD", [InvalidArgument, Internal], Never,
        "Send values that `JSON.stringify` can encode, or a `Uint8Array`.";
    /// The handler failed.
    Handler = "HANDLER", [Internal], Never,
        "Find `errorId` in the log of the service.";
    /// The deadline passed.
    Deadline = "DEADLINE", [DeadlineExceeded], Never,
        "Raise `timeoutMs`, or find out what takes so long; the work may have been done.";
    /// The caller cancelled.
    Cancelled = "CANCELLED", [Cancelled], Never,
        "No action is needed: this side cancelled the call.";
    /// The mesh is closed, or closing.
    Closed = "CLOSED", [Cancelled, FailedPrecondition], Never,
        "Make a new mesh.";
    /// The mesh, or the manager, has not been initialized.
    NotInitialized = "NOT_INITIALIZED", [FailedPrecondition], Never,
        "Await `initialize()` first.";
    /// The mesh cannot listen on the address.
    Listen = "LISTEN", [FailedPrecondition], Never,
        "Choose a free port and an address of this machine, or stop what listens there.";
    /// A peer broke the rules of a stream; only that stream ends.
    StreamProtocol = "STREAM_PROTOCOL", [Internal, InvalidArgument], Never,
        "The peer is faulty or hostile; if it runs this package, please report it.";
    /// A test asked for this failure.
    Fault = "FAULT", [], Never,
        "No action is needed: the test causes this failure. It does not occur outside of tests.";
    /// The package has no binary that runs on this platform.
    Addon = "ADDON", [FailedPrecondition], Never,
        "The message lists what was tried and why it failed; most often a reinstall without `--omit=optional` helps.";
    /// A fault in this library.
    Internal = "INTERNAL", [Internal], Never,
        "Please report it.";
}

impl Reason {
    /// The reason with the name `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }

    /// Whether only the side that detects the failure can know of it, because it concerns the side's own
    /// keys, connection, received records or state. A peer that sends such a reason means itself, or lies.
    #[must_use]
    pub const fn is_of_one_side(self) -> bool {
        matches!(
            self,
            Self::File
                | Self::KeydirMode
                | Self::KeydirOwner
                | Self::KeydirType
                | Self::KeydirCorrupt
                | Self::KeydirKeySize
                | Self::KeydirFull
                | Self::KeydirIo
                | Self::KeydirUnknown
                | Self::SelfId
                | Self::KeyMismatch
                | Self::PeerKeyChanged
                | Self::PeerKeyInUse
                | Self::UnknownPeer
                | Self::HelloMac
                | Self::WrongTarget
                | Self::BadPeerKey
                | Self::BadShare
                | Self::Finished
                | Self::CertExpired
                | Self::CertUntrusted
                | Self::CertInvalid
                | Self::CertName
                | Self::CertDelegation
                | Self::Revoked
                | Self::CrlUnusable
                | Self::CertMaterial
                | Self::WorkloadApi
                | Self::Downgrade
                | Self::Mode
                | Self::TrustDowngrade
                | Self::TlsRequired
                | Self::Version
                | Self::HandshakeState
                | Self::HandshakeExpired
                | Self::HandshakeFormat
                | Self::HandshakeRefused
                | Self::Busy
                | Self::Replay
                | Self::RecordAuth
                | Self::RecordFormat
                | Self::SequenceGap
                | Self::RekeyLimit
                | Self::SessionLost
                | Self::CircuitOpen
                | Self::ConnectFailed
                | Self::ConnectTimeout
                | Self::UnknownService
                | Self::NoInstance
                | Self::DiscoveryStale
                | Self::Closed
                | Self::NotInitialized
                | Self::Listen
                | Self::Addon
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error that can say what kind it is to a program.
pub trait Coded: Error {
    /// The kind of failure.
    fn code(&self) -> Code;

    /// The exact failure.
    fn reason(&self) -> Reason;

    /// The shortest delay before a sensible retry, if it is known.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_carry_the_canonical_names_and_numbers() {
        for (index, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, index + 1);
            assert_eq!(Code::from_number(code as u8), Some(code));
            assert_eq!(Code::from_name(code.as_str()), Some(code));
        }
        assert_eq!(Code::from_number(0), None);
    }

    #[test]
    fn reasons_are_unique_upper_case_words() {
        let names: HashSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for name in names {
            assert!(name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{name}");
        }
    }
}
