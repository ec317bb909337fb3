//! The values that the record of a mesh takes and returns.

use std::{collections::BTreeMap, time::Duration};

use super::{
    flows::{FlowKind, Running},
    spans::OpenSpan,
    trace_context::TraceContext,
};
use crate::error::Code;

/// The side of a call that this process is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// It answers.
    In,
    /// It calls.
    Out,
}

impl Direction {
    /// The name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// A call as it begins.
#[derive(Clone, Copy, Debug)]
pub struct Begun<'a> {
    /// The side of this process.
    pub direction: Direction,
    /// The other service.
    pub peer: &'a str,
    /// The method.
    pub method: &'a str,
    /// The sides that are streams.
    pub kind: FlowKind,
    /// A JSON object of strings, or nothing; for its trace.
    pub metadata: &'a [u8],
    /// The way in which the caller of a request proved its identity; empty for a call.
    pub trust: &'static str,
    /// The number of the attempt, from 1.
    pub attempt: u8,
}

/// The failure of a call.
#[derive(Clone, Copy, Debug)]
pub struct Failed<'a> {
    /// The code.
    pub code: Code,
    /// The stable detail.
    pub reason: &'a str,
    /// For people.
    pub message: &'a str,
    /// Finds the failure in the service's log.
    pub error_id: &'a str,
}

/// A call whose end is recorded.
#[derive(Debug)]
pub struct Watched {
    /// `None` if calls are not recorded, but this one has a span.
    pub(super) running: Option<Running>,
    pub(super) direction: Direction,
    pub(super) since: Duration,
    pub(super) trace: Option<TraceContext>,
    /// Its span, if it has one.
    pub span: Option<Box<OpenSpan>>,
}

/// A call that has begun.
#[derive(Debug, Default)]
pub struct Began {
    /// `None` if nothing of it is recorded.
    pub watched: Option<Watched>,
    /// Its metadata with its place in the trace; `None` if it stays as it is.
    pub metadata: Option<Vec<u8>>,
}

/// Refusals of one subject.
#[derive(Clone, Debug)]
pub struct Refusals {
    /// The stable reason of the last one.
    pub reason: String,
    /// Its text.
    pub text: String,
    /// The number of refusals that were recorded.
    pub count: u64,
    /// The first and the last one.
    pub since: u64,
    /// The last one.
    pub last: u64,
}

/// Totals of calls and faults, by direction, peer and method.
pub type Totals = BTreeMap<(Direction, String, String), (u64, u64)>;
