//! The commands of JavaScript, carried out on the I/O thread.

use std::panic::{AssertUnwindSafe, catch_unwind};

use mesh_core::{
    error::{Code, Reason},
    mesh::{CallError, CallSpec, Events, Io, Level, LogEvent},
    record::message::{Encoding, Failure as WireFailure, Payload},
};
use serde_json::Value;

use crate::{
    events::Outlet,
    frames::{Command, Commands, Malformed},
};

/// Executes a batch on the I/O thread. A fault in one command fails that
/// command only.
pub(crate) fn execute(io: &Io, batch: &[u8], outlet: &Outlet) {
    for command in Commands(batch) {
        let call = match &command {
            Ok(Command::Call { id, .. }) => Some(*id),
            _ => None,
        };
        if catch_unwind(AssertUnwindSafe(|| carry_out(io, command, outlet))).is_err() {
            complain(outlet, "a command panicked");
            if let Some(id) = call {
                outlet.settled(id, Err(CallError::internal("a fault in the mesh itself; please report it")));
            }
            outlet.flush();
        }
    }
}

fn carry_out(io: &Io, command: Result<Command<'_>, Malformed>, outlet: &Outlet) {
    match command {
        #[cfg(feature = "fault-injection")]
        Ok(Command::Call { method: "fault.panic", .. }) => panic!("injected"),
        Ok(Command::Call {
            id,
            timeout,
            idempotent,
            hedge,
            priority,
            kind,
            sticky,
            chain,
            service,
            method,
            metadata,
            payload,
        }) => {
            let sticky = (!sticky.is_empty()).then_some(sticky);
            io.call(
                id,
                &CallSpec {
                    service,
                    method,
                    kind,
                    payload,
                    metadata,
                    timeout,
                    idempotent,
                    sticky,
                    hedge,
                    priority,
                    chain,
                },
            );
        }
        Ok(Command::Cancel { id }) => io.cancel(id),
        Ok(Command::Respond { id, metadata, payload }) => io.respond(id, metadata, payload),
        Ok(Command::Fail { id, failure }) => fail(io, id, failure, outlet),
        Ok(Command::Item { stream, payload }) => io.item(stream, payload),
        Ok(Command::End { stream, metadata }) => io.end(stream, metadata),
        Ok(Command::Consumed { stream, cost }) => io.consumed(stream, cost as usize),
        Ok(Command::Late { id }) => io.late(id),
        Err(Malformed) => complain(outlet, "a batch of commands was malformed"),
    }
}

fn complain(outlet: &Outlet, message: &str) {
    outlet.log(LogEvent {
        level: Level::Error,
        event: "internal",
        message: message.to_owned(),
        fields: Vec::new(),
    });
    outlet.flush();
}

fn fail(io: &Io, id: u32, failure: &[u8], outlet: &Outlet) {
    let value: Value = match serde_json::from_slice(failure) {
        Ok(value) => value,
        // An empty failure: a handler has finished whose answer is no longer
        // wanted.
        Err(_) if failure.is_empty() => Value::Null,
        // This parser is stricter than V8, which wrote the JSON. The caller
        // receives an error that states this.
        Err(error) => {
            complain(outlet, &format!("the error of a handler cannot be read, and was not sent: {error}"));
            let text = "the error of the handler cannot be sent; the log of the service has the cause";
            return io.fail(id, &WireFailure::new(Code::Internal, Reason::Internal, text));
        }
    };
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let data = value.get("data").map(Value::to_string);
    let retry_after = value.get("retryAfterMs").and_then(Value::as_u64);
    io.fail(
        id,
        &WireFailure {
            code: Code::from_name(text("code")).unwrap_or(Code::Internal),
            reason: text("reason"),
            message: text("message"),
            retryable: value.get("retryable").and_then(Value::as_bool).unwrap_or(false),
            retry_after_ms: retry_after.map(|ms| u32::try_from(ms).unwrap_or(u32::MAX)),
            error_id: text("errorId"),
            data: match &data {
                Some(data) => Payload { encoding: Encoding::Json, bytes: data.as_bytes() },
                None => Payload::EMPTY,
            },
        },
    );
}
