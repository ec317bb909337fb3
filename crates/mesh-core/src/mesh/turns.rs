//! Who runs the tasks of a mesh: its own I/O thread, or the application's
//! thread, in turns.
//!
//! The I/O thread has the runtime, sleeps in it, and is woken by sockets,
//! timers and batches. Where threads are more than cores and calls are many,
//! every such waking waits for a core. Then the application's thread, which has
//! one, takes turns: one with each batch that it hands over, and one whenever
//! its event loop finds a socket readable ([`Watch`]).
//!
//! Nothing rests on the application's doing so. The I/O thread looks every two
//! milliseconds, and takes the runtime back when no turn was completed: when
//! the event loop is busy with something else, has nothing to do, or is held up
//! by a turn without an end. A turn holds an event loop for as long as it takes,
//! so what takes long is left to the I/O thread: handshakes, large messages, and
//! the rest of a turn that has used more than a millisecond.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, TryLockError,
        atomic::{
            AtomicBool, AtomicU8, AtomicU32, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::{Poll, Waker},
    thread::{self, Thread},
    time::Duration,
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::Notify,
    task::yield_now,
};
use tokio_util::sync::CancellationToken;

use super::{events::Events, session::lock};
use crate::transport::Watch;

/// How often the I/O thread looks whether there was a turn.
const TICK: Duration = Duration::from_millis(2);
/// Ticks after which it takes the runtime back to see how the cores are used.
const SPELL: u32 = 500;
/// A turn that uses more of a core is broken off.
const LONG: Duration = Duration::from_millis(1);
/// So many turns one after the other that find nothing are enough: a peer may
/// keep a socket readable with what cannot be read now.
const IN_VAIN: u32 = 64;
/// Tasks that run before the sockets are looked at again, or a turn can be
/// broken off.
const TASKS: u32 = 16;
/// A batch of more bytes is left to the I/O thread. It is a single large message.
pub(super) const LIGHT_BATCH: usize = 72 * 1024;
/// As is a frame from a peer.
pub(super) const LIGHT_FRAME: usize = 256 * 1024;

/// Why the application does not have the runtime any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Returned {
    /// It has too little to do, or something else.
    Idle = 0,
    /// It was time to see how the cores are used.
    Spell = 1,
    /// There is work that no event loop should be held for.
    Heavy = 2,
}

/// What this thread has used of a core, in nanoseconds: what it waited for one
/// does not count.
#[cfg(target_os = "linux")]
fn thread_time() -> u64 {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// No turns are taken here.
#[cfg(not(target_os = "linux"))]
fn thread_time() -> u64 {
    0
}

/// The runtime of a mesh, and whose turn it is.
#[derive(Debug)]
pub(super) struct Turns {
    /// Locked by whoever runs the tasks; empty once the mesh has ended.
    runtime: Mutex<Option<Runtime>>,
    end: Arc<TurnEnd>,
    watch: Option<Watch>,
    /// The application has the runtime.
    application: AtomicBool,
    /// A [`Returned`] that nobody has asked for yet.
    returned: AtomicU8,
    /// Turns of the application.
    taken: AtomicU64,
    /// Bursts from peers that were worked on.
    bursts: AtomicU64,
    in_vain: AtomicU32,
    offer: Notify,
    /// The offer has been made, and not yet been taken up.
    offered: AtomicBool,
    io_thread: OnceLock<Thread>,
}

/// When a turn of the application is over.
#[derive(Debug)]
struct TurnEnd {
    /// The thread's time at the beginning of the turn; 0 outside of one.
    began: AtomicU64,
    /// It is over as soon as there is nothing left to do.
    waiting: AtomicBool,
    over: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl TurnEnd {
    fn is_turn(&self) -> bool {
        self.began.load(Relaxed) != 0
    }

    fn is_long(&self) -> bool {
        let began = self.began.load(Relaxed);
        began != 0 && u128::from(thread_time() - began) > LONG.as_nanos()
    }

    /// The runtime has run out of tasks, and would sleep now.
    fn drained(&self) {
        if self.waiting.swap(false, Relaxed) {
            self.end();
        }
    }

    fn end(&self) {
        self.over.store(true, SeqCst);
        if let Some(waker) = lock(&self.waker).take() {
            waker.wake();
        }
    }
}

impl Turns {
    /// A runtime, held by nobody yet. `application` is whether its thread can take turns.
    pub(super) fn new(application: bool) -> Option<Arc<Self>> {
        let end = Arc::new(TurnEnd {
            began: AtomicU64::new(0),
            waiting: AtomicBool::new(false),
            over: AtomicBool::new(false),
            waker: Mutex::new(None),
        });
        let drained = Arc::clone(&end);
        let runtime = Builder::new_current_thread()
            .enable_all()
            .event_interval(TASKS)
            .on_thread_park(move || drained.drained())
            .build()
            .ok()?;
        Some(Arc::new(Self {
            runtime: Mutex::new(Some(runtime)),
            end,
            watch: if application { Watch::new() } else { None },
            application: AtomicBool::new(false),
            returned: AtomicU8::new(0),
            taken: AtomicU64::new(0),
            bursts: AtomicU64::new(0),
            in_vain: AtomicU32::new(0),
            offer: Notify::new(),
            offered: AtomicBool::new(false),
            io_thread: OnceLock::new(),
        }))
    }

    /// Where sockets of sessions go, if the application's thread can take turns.
    pub(super) fn watch(&self) -> Option<&Watch> {
        self.watch.as_ref()
    }

    /// Whether the application has the runtime.
    pub(super) fn are_taken(&self) -> bool {
        self.application.load(Relaxed)
    }

    /// Turns that the application has taken.
    pub(super) fn count(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    /// Bursts from peers so far.
    pub(super) fn bursts(&self) -> u64 {
        self.bursts.load(Relaxed)
    }

    /// Runs `main` to its end, on this thread but for the application's turns.
    pub(super) fn run(&self, main: impl Future<Output = ()> + Send + 'static, events: &dyn Events) {
        let _ = self.io_thread.set(thread::current());
        let over = CancellationToken::new();
        if let Some(runtime) = &*lock(&self.runtime) {
            let guard = over.clone().drop_guard();
            runtime.spawn(async move {
                main.await;
                drop(guard);
            });
        }
        while self.hold(&over) {
            self.application.store(true, SeqCst);
            self.offered.store(false, Relaxed);
            events.your_turn();
            self.supervise(&over);
            // Before the end, which a turn that begins meanwhile takes back: see `take`.
            self.application.store(false, SeqCst);
            // One that is still going on has no end of its own.
            self.end.end();
        }
        if let Some(runtime) = lock(&self.runtime).take() {
            // A key generation under way is not waited for.
            runtime.shutdown_background();
        }
    }

    /// Runs the tasks until the runtime is offered to the application; false at
    /// the end of the mesh.
    fn hold(&self, over: &CancellationToken) -> bool {
        let runtime = lock(&self.runtime);
        let Some(runtime) = &*runtime else { return false };
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = over.cancelled() => false,
                () = self.offer.notified() => true,
            }
        })
    }

    /// Returns when the runtime is to be this thread's again.
    fn supervise(&self, over: &CancellationToken) {
        // Whoever woke this thread did so before.
        thread::park_timeout(Duration::ZERO);
        let mut taken = self.count();
        for _ in 0..SPELL {
            thread::park_timeout(TICK);
            let former = std::mem::replace(&mut taken, self.count());
            if !self.are_taken() || taken == former || over.is_cancelled() {
                return;
            }
        }
        self.returned.store(Returned::Spell as u8, Relaxed);
    }

    /// Lets the application have the runtime, if its thread can take turns.
    pub(super) fn offer(&self) {
        if self.watch.is_some() && !self.are_taken() && !self.offered.swap(true, Relaxed) {
            self.in_vain.store(0, Relaxed);
            self.offer.notify_one();
        }
    }

    /// Why the application returned the runtime; each return is told once.
    pub(super) fn returned(&self) -> Returned {
        match self.returned.swap(Returned::Idle as u8, Relaxed) {
            1 => Returned::Spell,
            2 => Returned::Heavy,
            _ => Returned::Idle,
        }
    }

    /// A turn of the application's thread: runs what `work` causes, or else
    /// what is on the sockets, until there is nothing left to do. False if it
    /// is not its turn, and then nothing was done.
    pub(super) fn take(&self, work: Option<&mut dyn FnMut()>) -> bool {
        if !self.are_taken() {
            return false;
        }
        let runtime = match self.runtime.try_lock() {
            Ok(runtime) => runtime,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // The I/O thread is taking it back.
            Err(TryLockError::WouldBlock) => return false,
        };
        let Some(runtime) = &*runtime else { return false };
        // In this order, so that either this sees that the I/O thread wants it
        // back, or the turn sees that it is over.
        self.end.over.store(false, SeqCst);
        if !self.application.load(SeqCst) {
            return false;
        }
        let (bursts, worked) = (self.bursts(), work.is_some());
        let long = self.run_turn(runtime, work);
        self.taken.fetch_add(1, Relaxed);
        if worked || self.bursts() != bursts {
            self.in_vain.store(0, Relaxed);
        }
        if long || self.in_vain.fetch_add(1, Relaxed) >= IN_VAIN {
            self.application.store(false, SeqCst);
            self.returned.store(Returned::Heavy as u8, Relaxed);
        }
        if !self.are_taken() {
            self.wake_io_thread();
        }
        true
    }

    /// Whether it took long.
    fn run_turn(&self, runtime: &Runtime, mut work: Option<&mut dyn FnMut()>) -> bool {
        let end = &*self.end;
        end.began.store(thread_time(), Relaxed);
        let mut first = true;
        runtime.block_on(poll_fn(|context| {
            if std::mem::take(&mut first) {
                *lock(&end.waker) = Some(context.waker().clone());
                let Some(work) = work.take() else {
                    // Once around, by way of the sockets.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                };
                work();
            }
            if end.over.load(SeqCst) {
                return Poll::Ready(());
            }
            end.waiting.store(true, Relaxed);
            Poll::Pending
        }));
        let long = end.is_long();
        end.waiting.store(false, Relaxed);
        end.began.store(0, Relaxed);
        lock(&end.waker).take();
        long
    }

    /// A burst from a peer was worked on.
    pub(super) fn burst(&self) {
        self.bursts.fetch_add(1, Relaxed);
    }

    /// After a piece of work of many: those that follow are the I/O thread's
    /// once the turn has taken long.
    pub(super) async fn pause(&self) {
        if self.end.is_long() {
            self.leave().await;
        }
    }

    /// What follows takes long: it is not for the application's thread.
    pub(super) async fn leave(&self) {
        while self.end.is_turn() {
            self.give_back(Returned::Heavy);
            yield_now().await;
        }
    }

    /// The I/O thread has the runtime again, as soon as the turn is over.
    pub(super) fn give_back(&self, returned: Returned) {
        let had_it = self.application.swap(false, SeqCst);
        if had_it {
            self.returned.store(returned as u8, Relaxed);
        }
        if self.end.is_turn() {
            self.end.end();
        } else if had_it {
            self.wake_io_thread();
        }
    }

    fn wake_io_thread(&self) {
        if let Some(thread) = self.io_thread.get() {
            thread.unpark();
        }
    }
}

impl Drop for Turns {
    /// Wherever that is: a runtime must not be waited for within another.
    fn drop(&mut self) {
        let runtime = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = runtime.take() {
            runtime.shutdown_background();
        }
    }
}
