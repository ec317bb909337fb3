//! The sockets of established sessions, as one thing that is readable when any
//! of them is. An event loop can wait for it beside its own.
//!
//! Linux only: it is an epoll set, which is itself a file that can be polled.
//! Level-triggered, so what was there and not read is told again.

#[cfg(target_os = "linux")]
mod set {
    use std::{io, sync::Arc};

    use rustix::{
        event::epoll::{CreateFlags, EventData, EventFlags, add, create},
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    };

    /// A set of sockets. Clones are the same one.
    #[derive(Clone, Debug)]
    pub(crate) struct Watch(Arc<OwnedFd>);

    impl Watch {
        /// An empty one, if the system has room for it.
        pub(crate) fn new() -> Option<Self> {
            Some(Self(Arc::new(create(CreateFlags::CLOEXEC).ok()?)))
        }

        /// Adds a socket, until it is closed.
        pub(crate) fn add(&self, socket: impl AsFd) -> io::Result<()> {
            Ok(add(&*self.0, socket, EventData::new_u64(0), EventFlags::IN)?)
        }

        /// What to poll, for as long as the set lives.
        pub(crate) fn descriptor(&self) -> RawFd {
            self.0.as_raw_fd()
        }
    }

    impl AsFd for Watch {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod set {
    use std::{convert::Infallible, io};

    /// There is none on this system.
    #[derive(Clone, Debug)]
    pub(crate) struct Watch(Infallible);

    impl Watch {
        pub(crate) fn new() -> Option<Self> {
            None
        }

        pub(crate) fn add(&self, _: impl Sized) -> io::Result<()> {
            match self.0 {}
        }

        pub(crate) fn descriptor(&self) -> i32 {
            match self.0 {}
        }
    }
}

pub(crate) use set::Watch;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
    };

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn is_readable(watch: &Watch) -> bool {
        let patience = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        matches!(poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&patience)), Ok(1))
    }

    #[test]
    fn it_is_readable_as_long_as_a_socket_is() {
        let watch = Watch::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        watch.add(&near).unwrap();
        assert!(!is_readable(&watch));
        far.write_all(b"ab").unwrap();
        assert!(is_readable(&watch));
        let mut byte = [0];
        near.read_exact(&mut byte).unwrap();
        assert!(is_readable(&watch), "one byte is left");
        near.read_exact(&mut byte).unwrap();
        assert!(!is_readable(&watch));
        far.write_all(b"c").unwrap();
        drop(near);
        assert!(!is_readable(&watch), "a closed socket is gone");
    }
}
