//! The event loop's side of taking turns: it polls the mesh's sockets beside
//! its own, and lets the mesh work on what is there.
//!
//! libuv is what Node's event loop is made of. Its functions are looked up when
//! they are needed, not when the addon is loaded: an engine that has Node-API
//! and no libuv runs the addon all the same, with everything done by the I/O
//! thread.

use std::{
    cell::Cell,
    ffi::{c_int, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    rc::Rc,
    sync::OnceLock,
};

use mesh_core::mesh::Poller;
use napi::{Env, sys};

/// libuv's number for a handle that polls, and for "readable".
const UV_POLL: c_int = 8;
const UV_READABLE: c_int = 1;

type Handle = *mut c_void;
type OnReadable = unsafe extern "C" fn(handle: Handle, status: c_int, events: c_int);
type OnClosed = unsafe extern "C" fn(handle: Handle);

/// The functions of libuv that are used here.
struct Uv {
    handle_size: unsafe extern "C" fn(kind: c_int) -> usize,
    poll_init: unsafe extern "C" fn(event_loop: *mut c_void, handle: Handle, descriptor: c_int) -> c_int,
    poll_start: unsafe extern "C" fn(handle: Handle, events: c_int, callback: OnReadable) -> c_int,
    poll_stop: unsafe extern "C" fn(handle: Handle) -> c_int,
    unref: unsafe extern "C" fn(handle: Handle),
    close: unsafe extern "C" fn(handle: Handle, callback: OnClosed),
}

impl Uv {
    /// `None` where the process has no libuv, or one that keeps it to itself.
    #[cfg(target_os = "linux")]
    fn get() -> Option<&'static Self> {
        static UV: OnceLock<Option<Uv>> = OnceLock::new();
        let look_up = || {
            let process = libloading::os::unix::Library::this();
            // SAFETY: these are the signatures of libuv 1.x, which keeps them; nothing is unloaded,
            // since the library is the process itself.
            unsafe {
                Some(Self {
                    handle_size: *process.get(b"uv_handle_size").ok()?,
                    poll_init: *process.get(b"uv_poll_init").ok()?,
                    poll_start: *process.get(b"uv_poll_start").ok()?,
                    poll_stop: *process.get(b"uv_poll_stop").ok()?,
                    unref: *process.get(b"uv_unref").ok()?,
                    close: *process.get(b"uv_close").ok()?,
                })
            }
        };
        UV.get_or_init(look_up).as_ref()
    }

    /// Only Linux has a set of sockets that is a file to poll.
    #[cfg(not(target_os = "linux"))]
    fn get() -> Option<&'static Self> {
        static NONE: OnceLock<Option<Uv>> = OnceLock::new();
        NONE.get_or_init(|| None).as_ref()
    }
}

/// Whether the event loop of this environment can poll.
pub(crate) fn can_poll(env: Env) -> bool {
    Uv::get().is_some() && event_loop(env).is_some()
}

fn event_loop(env: Env) -> Option<*mut c_void> {
    let mut event_loop = ptr::null_mut();
    // SAFETY: called on the thread of `env`, with a place for the result.
    let status = unsafe { sys::napi_get_uv_event_loop(env.raw(), &raw mut event_loop) };
    (status == sys::Status::napi_ok && !event_loop.is_null()).then_some(event_loop.cast())
}

/// Polls for a mesh, when it is told to. Used on the thread of its event loop
/// only, where it is made; dropping it closes the handle.
pub(crate) struct Polling(Rc<Shared>);

// SAFETY: it belongs to an object of JavaScript, whose methods and finalizer run
// on the thread of the event loop; other threads only hold the object.
unsafe impl Send for Polling {}

/// What [`Polling`] and libuv both hold.
struct Shared {
    uv: &'static Uv,
    /// The memory of a `uv_poll_t`, whose first word is ours.
    handle: Box<[Cell<u128>]>,
    poller: Poller,
    active: Cell<bool>,
    closing: Cell<bool>,
    /// Has the environment wait until the handle is closed.
    cleanup: Cell<sys::napi_async_cleanup_hook_handle>,
}

impl Polling {
    /// A handle that does not poll yet. `None` if the event loop cannot.
    pub(crate) fn new(env: Env, poller: Poller) -> Option<Self> {
        let (uv, event_loop) = (Uv::get()?, event_loop(env)?);
        // SAFETY: a pure function of libuv.
        let words = unsafe { (uv.handle_size)(UV_POLL) }.div_ceil(size_of::<u128>());
        let shared = Rc::new(Shared {
            uv,
            handle: std::iter::repeat_with(|| Cell::new(0)).take(words).collect(),
            poller,
            active: Cell::new(false),
            closing: Cell::new(false),
            cleanup: Cell::new(ptr::null_mut()),
        });
        let handle = shared.handle();
        // SAFETY: the handle has the size libuv asks for and stays where it is, in its box, until
        // `on_closed` gives up the reference that is put into its first word, its `data`. The
        // descriptor lives as long as the poller beside it. All of it is on the loop's thread.
        unsafe {
            if (uv.poll_init)(event_loop, handle, shared.poller.descriptor()) != 0 {
                return None;
            }
            let data = Rc::into_raw(Rc::clone(&shared)).cast_mut().cast::<c_void>();
            *handle.cast::<*mut c_void>() = data;
            // Whether the process lives on is decided in `js/`.
            (uv.unref)(handle);
            let mut cleanup = ptr::null_mut();
            sys::napi_add_async_cleanup_hook(env.raw(), Some(on_cleanup), data, &raw mut cleanup);
            shared.cleanup.set(cleanup);
        }
        Some(Self(shared))
    }

    /// Polls from now on, until the mesh has nothing to poll for; false if it does already.
    pub(crate) fn start(&self) -> bool {
        let shared = &self.0;
        if shared.closing.get() || shared.active.replace(true) {
            return false;
        }
        // SAFETY: the handle is initialised and not closing, and this is the loop's thread.
        unsafe { (shared.uv.poll_start)(shared.handle(), UV_READABLE, on_readable) };
        true
    }

    /// Works on what is there.
    pub(crate) fn turn(&self) {
        self.0.turn();
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Shared {
    fn handle(&self) -> Handle {
        self.handle.as_ptr().cast_mut().cast()
    }

    fn turn(&self) {
        if !self.poller.turn() && self.active.replace(false) && !self.closing.get() {
            // SAFETY: as in `start`.
            unsafe { (self.uv.poll_stop)(self.handle()) };
        }
    }

    fn close(&self) {
        if !self.closing.replace(true) {
            // SAFETY: the handle is initialised, this is the loop's thread, and it is done once.
            unsafe { (self.uv.close)(self.handle(), on_closed) };
        }
    }
}

/// What the first word of the handle refers to.
///
/// # Safety
/// The handle is one of [`Polling::new`], and not closed.
unsafe fn shared<'a>(handle: Handle) -> &'a Shared {
    // SAFETY: the reference that `new` has put there is given up in `on_closed` only.
    unsafe { &**handle.cast::<*const Shared>() }
}

unsafe extern "C" fn on_readable(handle: Handle, _status: c_int, _events: c_int) {
    // SAFETY: libuv calls this for handles that poll.
    let shared = unsafe { shared(handle) };
    // A fault must not go through libuv; the mesh guards its own work already.
    let _ = catch_unwind(AssertUnwindSafe(|| shared.turn()));
}

/// The environment ends: of a worker thread, or of the process.
unsafe extern "C" fn on_cleanup(_: sys::napi_async_cleanup_hook_handle, data: *mut c_void) {
    // SAFETY: the hook is removed when the reference is given up.
    unsafe { &*data.cast::<Shared>() }.close();
}

unsafe extern "C" fn on_closed(handle: Handle) {
    // SAFETY: libuv is done with the handle, and with this the last use of the reference in it.
    unsafe {
        let shared = Rc::from_raw(*handle.cast::<*const Shared>());
        sys::napi_remove_async_cleanup_hook(shared.cleanup.get());
    }
}
