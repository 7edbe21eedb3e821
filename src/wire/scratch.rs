//! What a relay reads into: one buffer a thread, since what is read goes on at once.

use std::cell::{Cell, RefCell};

/// Bytes that are read at a time.
const SLICE: usize = 64 << 10;
/// The same of the client of a thread's only busy connection: the server works on the first part of a bulk load while the
/// next is on its way. Measured with `make bench-relay`: 64 KiB at a time cost a tenth of a lone load's throughput.
const ALONE: usize = 16 << 10;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SLICE].into_boxed_slice());
    /// Who had the thread last, and whether it has it again.
    static LAST: Cell<(usize, bool)> = const { Cell::new((0, false)) };
}

/// Whose bytes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Client,
    Upstream,
}

/// `who` has the thread now.
pub(crate) fn turn<T>(who: &T) {
    let who = std::ptr::from_ref(who).addr();
    LAST.set((who, LAST.get().0 == who));
}

/// Gives `read` the buffer, or the part of it that is to be filled.
pub(crate) fn with<R>(from: From, read: impl FnOnce(&mut [u8]) -> R) -> R {
    let slice = if from == From::Client && LAST.get().1 { ALONE } else { SLICE };
    BUFFER.with_borrow_mut(|buffer| read(&mut buffer[..slice]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_client_is_read_in_small_parts() {
        let read = |from| with(from, |buffer| buffer.len());
        let (one, other) = (1_u8, 2_u8);
        turn(&one);
        assert_eq!((read(From::Client), read(From::Upstream)), (SLICE, SLICE));
        turn(&one);
        assert_eq!((read(From::Client), read(From::Upstream)), (ALONE, SLICE));
        turn(&other);
        assert_eq!(read(From::Client), SLICE);
        turn(&one);
        assert_eq!(read(From::Client), SLICE);
    }
}
