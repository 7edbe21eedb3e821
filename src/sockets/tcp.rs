//! A TCP stream that asks once to be woken, and not again until it was.
//!
//! A relay looks at both of its sides whenever one of them wakes it. Tokio's stream takes a lock at each read that finds
//! nothing, to register the waker; on a thread that drives its own sockets the waker need not be registered again.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, Read};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::unconstrained;

/// So many reads in a row, then others may run.
const TURN: u8 = 64;

thread_local! {
    /// The number of this thread among those that drive their own sockets and nobody else's; 0: it is none.
    static DRIVER: Cell<usize> = const { Cell::new(0) };
}

/// Says that this thread, the `number`th from 1 on, runs a runtime of its own and all tasks of it.
pub fn drives_alone(number: usize) {
    DRIVER.set(number);
}

/// The number of this thread, if it drives alone.
pub fn driver() -> Option<usize> {
    Some(DRIVER.get()).filter(|number| *number != 0)
}

/// A connected stream.
pub struct Tcp {
    stream: TcpStream,
    /// The thread that wakes its readers, if it drives alone. Only there nothing wakes them while they read.
    driver: usize,
    /// The waker that was registered last.
    reader: Option<Waker>,
    /// It is noted still.
    noted: bool,
    /// Reads since it last had to wait.
    reads: u8,
}

impl Tcp {
    /// To be made on the runtime that `stream` was made on.
    pub fn new(stream: TcpStream) -> Tcp {
        Tcp { stream, driver: DRIVER.get(), reader: None, noted: false, reads: 0 }
    }

    /// The stream itself, which is not to be read.
    pub fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Is this the thread that wakes it, and does nothing else beside?
    fn is_at_home(&self) -> bool {
        self.driver != 0 && self.driver == DRIVER.get()
    }

    /// Reads what is there. None: nothing.
    fn read_now(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        let socket = SockRef::from(&self.stream);
        let (mut looked, mut short) = (false, None);
        let outcome = self.stream.try_io(Interest::READABLE, || {
            looked = true;
            let read = (&*socket).read(buf)?;
            if 0 < read && read < buf.len() {
                // That was all: what comes later is an event of its own. Said by what makes Tokio forget this one.
                short = Some(read);
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(read)
        });
        // There was an event, and it took the note with it.
        self.noted &= !looked;
        match outcome {
            Ok(read) => Ok(Some(read)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(short),
            Err(error) => Err(error),
        }
    }
}

impl AsyncRead for Tcp {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Only the same thread can tell that a note still stands; and bytes to read into are not cleared for this.
        if !this.is_at_home() || buf.initialized().len() < buf.capacity() || buf.remaining() == 0 {
            this.noted = false;
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        if this.reads == TURN {
            this.reads = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if let Some(read) = this.read_now(buf.initialize_unfilled())? {
                buf.advance(read);
                this.reads += 1;
                return Poll::Ready(Ok(()));
            }
            this.reads = 0;
            let same = this.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker()));
            if this.noted && same {
                return Poll::Pending;
            }
            if !same {
                this.reader = Some(cx.waker().clone());
            }
            // Where Tokio's own count of turns is over, it would note nobody. Ready: something has come since.
            this.noted = true;
            ready!(pin!(unconstrained(poll_fn(|cx| this.stream.poll_read_ready(cx)))).poll(cx))?;
            this.noted = false;
        }
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_at_home() {
            match this.stream.try_write(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
        Pin::new(&mut this.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::runtime::Builder;

    async fn pair() -> (Tcp, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Tcp::new(listener.accept().await.unwrap().0), far)
    }

    /// Runs on a thread that drives alone, which fails the test if it waits too long.
    fn alone<F: Future<Output = ()>>(test: F) {
        drives_alone(1);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let ended = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), test).await });
        drives_alone(0);
        ended.unwrap();
    }

    async fn read(tcp: &mut Tcp, buffer: &mut [u8]) -> usize {
        tcp.read(buffer).await.unwrap()
    }

    #[test]
    fn bytes_are_read_as_they_come_to_the_end() {
        alone(async {
            let (mut near, mut far) = pair().await;
            let mut buffer = [0; 8];
            for word in [&b"one"[..], b"exactly8", b"more than eight bytes"] {
                far.write_all(word).await.unwrap();
                let mut got = Vec::new();
                while got.len() < word.len() {
                    let n = read(&mut near, &mut buffer).await;
                    got.extend_from_slice(&buffer[..n]);
                }
                assert_eq!(got, word);
            }
            far.write_all(b"last").await.unwrap();
            drop(far);
            assert_eq!(read(&mut near, &mut buffer).await, 4);
            assert_eq!((read(&mut near, &mut buffer).await, read(&mut near, &mut buffer).await), (0, 0));
        });
    }

    #[test]
    fn two_that_talk_in_turns_never_miss_each_other() {
        alone(async {
            let (mut near, mut far) = pair().await;
            let echo = tokio::spawn(async move {
                let mut buffer = [0; 64];
                while let Ok(n @ 1..) = far.read(&mut buffer).await {
                    far.write_all(&buffer[..n]).await.unwrap();
                }
            });
            let mut buffer = [0; 64];
            for turn in 0..2000usize {
                near.write_all(&[1; 64][..1 + turn % 63]).await.unwrap();
                let mut got = 0;
                while got < 1 + turn % 63 {
                    // A look that finds nothing goes before each wait.
                    let mut sight = ReadBuf::new(&mut buffer);
                    let looked = poll_fn(|cx| Poll::Ready(Pin::new(&mut near).poll_read(cx, &mut sight))).await;
                    got += if looked.is_ready() { sight.filled().len() } else { read(&mut near, &mut buffer).await };
                }
                assert_eq!(got, 1 + turn % 63);
            }
            drop(near);
            echo.await.unwrap();
        });
    }

    struct Counts(AtomicUsize);

    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn whoever_looked_last_is_woken() {
        alone(async {
            let (mut near, mut far) = pair().await;
            let wakers = [(); 2].map(|()| Arc::new(Counts(AtomicUsize::new(0))));
            let mut buffer = [0; 8];
            for turn in [0, 1, 0, 0, 1] {
                for task in [1 - turn, turn, turn] {
                    let waker = Waker::from(Arc::clone(&wakers[task]));
                    let mut cx = Context::from_waker(&waker);
                    assert!(Pin::new(&mut near).poll_read(&mut cx, &mut ReadBuf::new(&mut buffer)).is_pending());
                }
                let before = wakers[turn].0.load(Ordering::SeqCst);
                far.write_all(b"x").await.unwrap();
                while wakers[turn].0.load(Ordering::SeqCst) == before {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                assert_eq!(read(&mut near, &mut buffer).await, 1);
            }
        });
    }

    #[test]
    fn a_stream_that_moves_to_another_thread_and_back_is_woken_on_each() {
        alone(async {
            let elsewhere = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let (mut near, mut far) = pair().await;
            for _ in 0..50 {
                let mut buffer = [0; 8];
                let waits = async {
                    let n = read(&mut near, &mut buffer).await;
                    assert_eq!(n, 1);
                };
                let (_, sent) = tokio::join!(waits, async {
                    tokio::task::yield_now().await;
                    far.write_all(b"x").await
                });
                sent.unwrap();
                let moved = elsewhere.spawn(async move {
                    let mut buffer = [0; 8];
                    assert_eq!(near.read(&mut buffer).await.unwrap(), 1);
                    near
                });
                tokio::time::sleep(Duration::from_millis(1)).await;
                far.write_all(b"y").await.unwrap();
                near = moved.await.unwrap();
            }
            elsewhere.shutdown_background();
        });
    }

    #[test]
    fn a_stream_that_never_runs_dry_lets_others_run() {
        alone(async {
            let (mut near, far) = pair().await;
            let mut far = far.into_std().unwrap();
            far.set_nonblocking(false).unwrap();
            let writer = std::thread::spawn(move || while std::io::Write::write_all(&mut far, &[7; 1 << 16]).is_ok() {});
            let mut turns = 0;
            tokio::select! {
                biased;
                () = async { while read(&mut near, &mut [0; 16]).await > 0 {} } => {}
                () = async { while turns < 100 { turns += 1; tokio::task::yield_now().await } } => {}
            }
            assert_eq!(turns, 100);
            drop(near);
            writer.join().unwrap();
        });
    }

    #[test]
    fn what_the_far_side_does_not_take_waits() {
        alone(async {
            let (mut near, mut far) = pair().await;
            let sent = 8 << 20;
            let writes = async {
                near.write_all(&vec![7; sent]).await.unwrap();
                near.shutdown().await.unwrap();
            };
            let mut got = Vec::new();
            let (_, read) = tokio::join!(writes, far.read_to_end(&mut got));
            assert_eq!(read.unwrap(), sent);
        });
    }
}
