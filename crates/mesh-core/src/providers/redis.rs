//! Redis as the keeper of quotas that several processes have together.
//!
//! One script counts: the generic cell rate algorithm, by the clock of Redis, for as many requests as a process
//! asks for at once. Its keys expire by themselves. No error of this module holds the URL, which may contain a
//! password.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, ConnectionAddr, ErrorKind, IntoConnectionInfo, RedisConnectionInfo, RedisError,
    aio::MultiplexedConnection, cmd, pipe,
};
use tokio::{task::JoinHandle, time::timeout};
use zeroize::Zeroizing;

use super::stream::{Tls, connect};
use crate::{
    config::RedisUrl,
    resilience::{Ask, Lease},
};

/// The time for a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// The time for the answers to one batch of questions.
const ANSWER: Duration = Duration::from_millis(500);
/// The characters of an error text of Redis that are shown.
const MAX_DETAIL: usize = 200;

/// `KEYS`: the key of a caller. `ARGV`: µs between two requests, requests in a window, requests asked for, and the
/// time at which the quota is full again as the process knows it. Returns the requests granted, and that time.
const SCRIPT: &str = r"
if redis.replicate_commands then pcall(redis.replicate_commands) end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local window = interval * burst
local stored = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
local full = math.min(math.max(stored, tonumber(ARGV[4]), now), now + window)
local room = math.floor((now + window - full) / interval)
local granted = math.max(0, math.min(tonumber(ARGV[3]), room))
full = full + granted * interval
-- A time beyond the window was stored before the clock went back.
if granted > 0 or stored > full then
  redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1)
end
return {granted, string.format('%.0f', full)}
";

/// Why Redis gives no answer. Its text holds nothing of the URL.
#[derive(Clone, Debug, thiserror::Error)]
#[error("Redis has no answer: {0}; check resilience.rateLimit.shared and that Redis runs")]
pub struct RedisFault(String);

/// The place of a server, checked.
pub struct RedisPlace {
    host: String,
    port: u16,
    tls: Option<Tls>,
    /// The user, the password and the database.
    settings: RedisConnectionInfo,
}

impl std::fmt::Debug for RedisPlace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("RedisPlace(…)")
    }
}

/// A connection to the server, with the script in place.
pub struct RedisQuota {
    connection: MultiplexedConnection,
    /// Reads and writes.
    driver: JoinHandle<()>,
    script: String,
    interval: String,
    requests: u32,
}

impl RedisPlace {
    /// Reads the URL. Connects to nothing.
    ///
    /// # Errors
    /// It is none that Redis clients know.
    pub fn new(url: &RedisUrl) -> Result<Self, RedisFault> {
        let wrong = || RedisFault("the URL is not one of Redis".to_owned());
        let url = url.reveal();
        // TLS is this package's, and not the client's.
        let (tls, plain) = match url.strip_prefix("rediss://") {
            Some(rest) => (Some(Tls::new(None, b"")), Zeroizing::new(format!("redis://{rest}"))),
            None => (None, Zeroizing::new(url.to_owned())),
        };
        let info = plain.as_str().into_connection_info().map_err(|_| wrong())?;
        let ConnectionAddr::Tcp(host, port) = info.addr() else { return Err(wrong()) };
        Ok(Self { host: host.clone(), port: *port, tls, settings: info.redis_settings().clone() })
    }

    /// Connects, puts the script in place for a quota of so many requests in a window, and runs it once with the
    /// key `probe`: a server that may not be written to is of no use.
    ///
    /// # Errors
    /// Redis is not reachable, refuses the password or the script, or does not answer in time.
    pub async fn connect(
        &self,
        requests: u32,
        window: Duration,
        probe: &str,
    ) -> Result<RedisQuota, RedisFault> {
        let slow = |_| RedisFault("no connection in time".to_owned());
        let stream = timeout(CONNECT, connect(&self.host, self.port, self.tls.as_ref())).await;
        let stream = stream.map_err(slow)?.map_err(RedisFault)?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER));
        let opened = MultiplexedConnection::new_with_config(&self.settings, stream, config);
        let opened = timeout(CONNECT, opened).await.map_err(slow)?;
        let (connection, driver) = opened.map_err(|error| fault(&error))?;
        let driver = tokio::spawn(driver);
        let interval = format!("{}", window.as_secs_f64() * 1e6 / f64::from(requests));
        let mut quota = RedisQuota { connection, driver, script: String::new(), interval, requests };
        let load = cmd("SCRIPT").arg("LOAD").arg(SCRIPT).to_owned();
        quota.script = load.query_async(&mut quota.connection).await.map_err(|error| fault(&error))?;
        quota.ask(&[(probe.to_owned(), Ask { requests: 1, full_at: 0 })]).await?;
        Ok(quota)
    }
}

impl Drop for RedisQuota {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl RedisQuota {
    /// Asks for a sign of life.
    ///
    /// # Errors
    /// The connection is of no more use.
    pub async fn ping(&mut self) -> Result<(), RedisFault> {
        cmd("PING").query_async(&mut self.connection).await.map_err(|error| fault(&error))
    }

    /// Asks for leases: each with the key of its caller. The answers have the same order.
    ///
    /// # Errors
    /// The connection is of no more use.
    pub async fn ask(&mut self, asks: &[(String, Ask)]) -> Result<Vec<Lease>, RedisFault> {
        let mut questions = pipe();
        for (key, ask) in asks {
            questions
                .cmd("EVALSHA")
                .arg(&self.script)
                .arg(1)
                .arg(key)
                .arg(&self.interval)
                .arg(self.requests)
                .arg(ask.requests)
                .arg(ask.full_at);
        }
        let answers: Vec<(u32, String)> =
            questions.query_async(&mut self.connection).await.map_err(|error| fault(&error))?;
        let lease =
            |(granted, full_at): (u32, String)| Some(Lease { granted, full_at: full_at.parse().ok()? });
        let leases: Option<Vec<Lease>> = answers.into_iter().map(lease).collect();
        leases
            .filter(|leases| leases.len() == asks.len())
            .ok_or_else(|| RedisFault("its answers are none of the script".to_owned()))
    }
}

/// The fault in words. The text of an error may repeat what was configured, so only Redis' own word is shown.
fn fault(error: &RedisError) -> RedisFault {
    let detail: String = match (error.kind(), error.code()) {
        (ErrorKind::Server(_), Some(code)) => format!("it says {code}"),
        _ if error.is_timeout() => "no answer in time".to_owned(),
        _ if error.is_connection_refusal() => "the connection is refused".to_owned(),
        _ if error.is_io_error() => "the connection is lost or cannot be made".to_owned(),
        (ErrorKind::AuthenticationFailed, _) => "it refuses the user or the password".to_owned(),
        _ => "its answer cannot be used".to_owned(),
    };
    RedisFault(detail.chars().take(MAX_DETAIL).collect())
}
