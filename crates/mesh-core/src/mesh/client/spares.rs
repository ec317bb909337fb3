//! Spares. A spare is a second copy of a call at another instance, while the first copy has no answer. The first
//! answer counts, and the other copy is cancelled.
//!
//! Only unary idempotent calls have a spare, one at a time, within a budget for all calls. There are two
//! occasions. *Hedging* (`resilience.hedging`) makes a spare as soon as a call takes longer than most calls of its
//! method. A *rescue* happens in every mesh once half of a call's time is over, because the instance may have gone
//! silent.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::{call::Call, twin::Occasion};
use crate::{
    balance::Quantile,
    config::Hedging,
    mesh::events::CallId,
    resilience::{ResilienceError, RetryBudget},
};

/// The first id of spares. Calls of the application, and calls for reports, have lower ids.
const FIRST_SPARE: CallId = 3 << 30;
/// The most methods with their own estimate.
const MAX_METHODS: usize = 1_000;
/// The shortest and the longest delay of a rescue, which is half of the remaining time.
const RESCUE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// Rescues per call, in the long run.
const RESCUE_RATIO: f64 = 0.2;
/// Rescues that may happen at once.
const RESCUE_RESERVE: u32 = 100;
/// Hedges that may happen at once. Their share in the long run is an option.
const HEDGE_RESERVE: u32 = 10;
/// The shortest delay of a hedge.
const SHORTEST_HEDGE: Duration = Duration::from_millis(1);

/// The estimates and budgets of one mesh.
#[derive(Debug)]
pub(super) struct Spares {
    hedging: Option<Hedging>,
    methods: HashMap<u64, Quantile>,
    hedges: RetryBudget,
    rescues: RetryBudget,
    last: CallId,
}

impl Spares {
    pub(super) fn new(hedging: Option<Hedging>) -> Result<Self, ResilienceError> {
        Ok(Self {
            hedging,
            methods: HashMap::new(),
            hedges: RetryBudget::new(hedging.unwrap_or_default().ratio, HEDGE_RESERVE)?,
            rescues: RetryBudget::new(RESCUE_RATIO, RESCUE_RESERVE)?,
            last: 0,
        })
    }

    /// The delay before a call gets a spare, and the occasion.
    pub(super) fn delay(&mut self, call: &Call, now: Instant) -> Option<(Duration, Occasion)> {
        if call.hedge == Some(false) {
            return None;
        }
        self.rescues.deposit();
        let rescue = call.deadline.map(|deadline| {
            let half = deadline.saturating_duration_since(now) / 2;
            (half.clamp(RESCUE.0, RESCUE.1), Occasion::Rescue)
        });
        if !call.hedge.unwrap_or(self.hedging.is_some()) {
            return rescue;
        }
        self.hedges.deposit();
        let usual = self.methods.get(&call.method).and_then(Quantile::get);
        let hedge = usual.map(|usual| (usual.max(SHORTEST_HEDGE), Occasion::Hedge));
        match (hedge, rescue) {
            (Some(hedge), Some(rescue)) if rescue.0 < hedge.0 => Some(rescue),
            (hedge, rescue) => hedge.or(rescue),
        }
    }

    pub(super) fn withdraw(&mut self, occasion: Occasion) -> bool {
        match occasion {
            Occasion::Hedge => self.hedges.withdraw(),
            Occasion::Rescue => self.rescues.withdraw(),
        }
    }

    /// Records the latency of a call that may be hedged.
    pub(super) fn observe(&mut self, method: u64, latency: Duration) {
        let share = self.hedging.unwrap_or_default().percentile;
        if let Some(quantile) = self.methods.get_mut(&method) {
            quantile.observe(latency);
        } else if self.methods.len() < MAX_METHODS {
            let mut quantile = Quantile::new(share);
            quantile.observe(latency);
            self.methods.insert(method, quantile);
        }
    }

    pub(super) fn next_id(&mut self) -> CallId {
        self.last = (self.last + 1) % (1 << 30);
        FIRST_SPARE + self.last
    }
}
