//! The readiness of this process, from its mesh and its application.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::sync::lock;

/// The time for which the application's report about a dependency is valid. The application checks
/// every few seconds.
const FRESH: Duration = Duration::from_secs(15);
/// The most dependencies.
const MAX_CHECKS: usize = 64;

const STARTING: u8 = 0;
const READY: u8 = 1;
const DRAINING: u8 = 2;

/// The readiness of this process.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: AtomicU8,
    checks: Mutex<BTreeMap<String, (Instant, Option<String>)>>,
}

impl Gate {
    /// The mesh has started.
    pub(super) fn open(&self) {
        let _ = self.state.compare_exchange(STARTING, READY, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The mesh accepts no more requests.
    pub(super) fn shut(&self) {
        self.state.store(DRAINING, Ordering::Relaxed);
    }

    /// Records the application's report about a dependency: `None`, or its fault.
    pub(super) fn tell(&self, name: &str, problem: Option<String>) {
        let checks = &mut *lock(&self.checks);
        if checks.len() < MAX_CHECKS || checks.contains_key(name) {
            checks.insert(name.to_owned(), (Instant::now(), problem));
        }
    }

    /// Removes a dependency.
    pub(super) fn forget(&self, name: &str) {
        lock(&self.checks).remove(name);
    }

    /// The dependencies that keep this process from being ready.
    pub(super) fn obstacles(&self) -> Vec<String> {
        let state = match self.state.load(Ordering::Relaxed) {
            STARTING => Some("the mesh is starting"),
            READY => None,
            _ => Some("the mesh accepts no more requests"),
        };
        let mut obstacles: Vec<String> = state.map(str::to_owned).into_iter().collect();
        for (name, (told, problem)) in &*lock(&self.checks) {
            if told.elapsed() > FRESH {
                obstacles.push(format!(
                    "{name}: the application has not reported for {} s",
                    told.elapsed().as_secs()
                ));
            } else if let Some(problem) = problem {
                obstacles.push(format!("{name}: {problem}"));
            }
        }
        obstacles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_process_is_ready_while_its_mesh_runs_and_its_dependencies_are_well() {
        let gate = Gate::default();
        assert_eq!(gate.obstacles(), ["the mesh is starting"]);
        gate.open();
        gate.tell("database", None);
        assert!(gate.obstacles().is_empty());
        gate.tell("database", Some("no answer".to_owned()));
        assert_eq!(gate.obstacles(), ["database: no answer"]);
        gate.tell("database", None);
        tokio::time::advance(Duration::from_secs(16)).await;
        assert_eq!(gate.obstacles(), ["database: the application has not reported for 16 s"]);
        gate.forget("database");
        gate.shut();
        gate.open();
        assert_eq!(gate.obstacles(), ["the mesh accepts no more requests"]);
    }
}
