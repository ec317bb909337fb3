//! What every error of this crate can say about itself.
//!
//! Each module has an error type of its own; each implements [`Coded`]. A
//! [`Code`] tells a program what kind of failure it is, a [`Reason`] which one.

use std::{error::Error, fmt, time::Duration};

/// The sixteen error codes of gRPC, by their canonical names and numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    /// The caller gave up.
    Cancelled = 1,
    /// A failure that fits nowhere else.
    Unknown = 2,
    /// An argument is wrong, whatever the state of the system.
    InvalidArgument = 3,
    /// The time allowed ran out; the work may have been done.
    DeadlineExceeded = 4,
    /// What was asked for does not exist.
    NotFound = 5,
    /// What was to be created exists.
    AlreadyExists = 6,
    /// The caller is known and not allowed.
    PermissionDenied = 7,
    /// A limit or quota is used up.
    ResourceExhausted = 8,
    /// The system is not in a state for this; retrying does not help.
    FailedPrecondition = 9,
    /// Broken off by a conflict; retrying at a higher level may help.
    Aborted = 10,
    /// Past the valid range.
    OutOfRange = 11,
    /// The method does not exist here.
    Unimplemented = 12,
    /// A fault in the callee.
    Internal = 13,
    /// Not reachable now; retrying may help.
    Unavailable = 14,
    /// Data is lost or corrupt.
    DataLoss = 15,
    /// The peer could not prove who it is.
    Unauthenticated = 16,
}

impl Code {
    /// Every code, in the order of their numbers.
    pub const ALL: [Self; 16] = [
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The canonical name, as in `'NOT_FOUND'`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// The code with the canonical number `number`.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as u8 == number)
    }

    /// The code with the canonical name `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)+) => {
        /// The stable detail of an error, as `reason` in `google.rpc.ErrorInfo`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason { $($(#[doc = $doc])+ $variant,)+ }

        impl Reason {
            /// Every reason with what it means, in the order they are declared.
            pub const ALL: &'static [(Self, &'static str)] =
                &[$((Self::$variant, concat!($($doc),+)),)+];

            /// The stable upper-case name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

reasons! {
    /// An option is missing, unknown or out of range.
    Config = "CONFIG",
    /// An argument of a call to this library is wrong.
    Argument = "ARGUMENT",
    /// A secret is too short, or too regular, to protect anything.
    WeakSecret = "WEAK_SECRET",
    /// A service id is outside the allowed alphabet or length.
    IdSyntax = "ID_SYNTAX",
    /// The key directory, or a file in it, is open to other users.
    KeydirMode = "KEYDIR_MODE",
    /// The key directory, or a file in it, belongs to another user.
    KeydirOwner = "KEYDIR_OWNER",
    /// A path of the key directory is a symbolic link, a pipe or a device.
    KeydirType = "KEYDIR_TYPE",
    /// A file of the key directory is damaged.
    KeydirCorrupt = "KEYDIR_CORRUPT",
    /// The stored key has another size than the configuration asks for.
    KeydirKeySize = "KEYDIR_KEY_SIZE",
    /// The key directory holds as many known peers as the limit allows.
    KeydirFull = "KEYDIR_FULL",
    /// The key directory cannot be read or written.
    KeydirIo = "KEYDIR_IO",
    /// No home or state directory is known to keep keys in.
    KeydirUnknown = "KEYDIR_UNKNOWN",
    /// A key is not what it should be: wrong format, type, size or exponent.
    BadKey = "BAD_KEY",
    /// An envelope, or a part of it, is not well formed.
    EnvelopeFormat = "ENVELOPE_FORMAT",
    /// Decryption failed; which check failed is deliberately not told.
    DecryptFailed = "DECRYPT_FAILED",
    /// A cryptographic operation of the library failed.
    Crypto = "CRYPTO",
    /// The peer claims this service's own id.
    SelfId = "SELF_ID",
    /// The peer's key is not the pinned one.
    KeyMismatch = "KEY_MISMATCH",
    /// The peer shows another key than the one it was first seen with.
    PeerKeyChanged = "PEER_KEY_CHANGED",
    /// Nothing says how to trust this peer.
    UnknownPeer = "UNKNOWN_PEER",
    /// The peer does not know the mesh secret.
    HelloMac = "HELLO_MAC",
    /// The message was meant for another service.
    WrongTarget = "WRONG_TARGET",
    /// The peer's public key is unacceptable.
    BadPeerKey = "BAD_PEER_KEY",
    /// The peer's ephemeral share is unacceptable.
    BadShare = "BAD_SHARE",
    /// The peer could not prove possession of its key.
    Finished = "FINISHED",
    /// Somebody made the two sides settle for less than both support.
    Downgrade = "DOWNGRADE",
    /// The peer's kind of trust is not the one configured.
    Mode = "MODE",
    /// No protocol version in common.
    Version = "VERSION",
    /// A handshake message out of place.
    HandshakeState = "HANDSHAKE_STATE",
    /// The handshake was not done in time.
    HandshakeExpired = "HANDSHAKE_EXPIRED",
    /// A handshake message that is not well formed.
    HandshakeFormat = "HANDSHAKE_FORMAT",
    /// The peer refused the handshake; why is in the peer's own log.
    HandshakeRefused = "HANDSHAKE_REFUSED",
    /// Too many handshakes or sessions at once.
    Busy = "BUSY",
    /// The token's algorithm is not the pinned one.
    JwtAlg = "JWT_ALG",
    /// The token is of another type.
    JwtTyp = "JWT_TYP",
    /// The token is for another audience.
    JwtAud = "JWT_AUD",
    /// The token is from another issuer.
    JwtIss = "JWT_ISS",
    /// The token belongs to another session.
    JwtSid = "JWT_SID",
    /// The token is bound to another key.
    JwtCnf = "JWT_CNF",
    /// The token is expired or its lifetime is unacceptable.
    JwtExp = "JWT_EXP",
    /// The token is not valid yet.
    JwtNbf = "JWT_NBF",
    /// The two clocks differ by more than is allowed.
    ClockSkew = "CLOCK_SKEW",
    /// The token's header asks for something that is never done.
    JwtHeader = "JWT_HEADER",
    /// The token is not a well-formed JWT.
    JwtFormat = "JWT_FORMAT",
    /// The token's signature is wrong.
    JwtSig = "JWT_SIG",
    /// The token was made under a secret that has been rotated out.
    SecretRetired = "SECRET_RETIRED",
    /// A record was received a second time.
    Replay = "REPLAY",
    /// A record that was not made by the peer.
    RecordAuth = "RECORD_AUTH",
    /// A record, or a message in it, that is not well formed.
    RecordFormat = "RECORD_FORMAT",
    /// An authentic record is missing before this one.
    SequenceGap = "SEQUENCE_GAP",
    /// The peer changes keys more often than is reasonable.
    RekeyLimit = "REKEY_LIMIT",
    /// A message is larger than the limit.
    TooLarge = "TOO_LARGE",
    /// The connection to the peer was lost.
    SessionLost = "SESSION_LOST",
    /// The session's time is over.
    SessionExpired = "SESSION_EXPIRED",
    /// No such session.
    SessionNotFound = "SESSION_NOT_FOUND",
    /// Too many sessions.
    SessionLimit = "SESSION_LIMIT",
    /// Too many calls in flight.
    CallLimit = "CALL_LIMIT",
    /// The caller makes more requests than its quota allows.
    RateLimited = "RATE_LIMITED",
    /// The service has failed too often lately and is left alone for a while.
    CircuitOpen = "CIRCUIT_OPEN",
    /// Audit entries arrive faster than they can be delivered.
    AuditLimit = "AUDIT_LIMIT",
    /// An audit entry could not be delivered.
    AuditDelivery = "AUDIT_DELIVERY",
    /// The peer cannot be reached.
    ConnectFailed = "CONNECT_FAILED",
    /// Discovery knows no service of this name.
    UnknownService = "UNKNOWN_SERVICE",
    /// The service has no handler for this method.
    MethodNotFound = "METHOD_NOT_FOUND",
    /// The method is for another kind of call.
    CallKind = "CALL_KIND",
    /// The input is not what the method's schema asks for.
    Validation = "VALIDATION",
    /// The idempotency key was used before, with another input.
    IdempotencyMismatch = "IDEMPOTENCY_MISMATCH",
    /// A payload that cannot be encoded or decoded.
    Payload = "PAYLOAD",
    /// The handler failed.
    Handler = "HANDLER",
    /// The deadline passed.
    Deadline = "DEADLINE",
    /// The caller cancelled.
    Cancelled = "CANCELLED",
    /// The mesh is closed, or closing.
    Closed = "CLOSED",
    /// The mesh, or the manager, has not been initialized.
    NotInitialized = "NOT_INITIALIZED",
    /// The address cannot be listened on.
    Listen = "LISTEN",
    /// A peer broke the rules of a stream; only that stream ends.
    StreamProtocol = "STREAM_PROTOCOL",
    /// A fault in this library. Please report it.
    Internal = "INTERNAL",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error that can say what kind it is to a program.
pub trait Coded: Error {
    /// What kind of failure.
    fn code(&self) -> Code;

    /// Which failure exactly.
    fn reason(&self) -> Reason;

    /// How long to wait before trying again can make sense, where that is known.
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
        let names: HashSet<_> = Reason::ALL.iter().map(|(reason, _)| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for name in names {
            assert!(name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{name}");
        }
    }
}
