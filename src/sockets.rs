//! TCP sockets towards clients and upstreams: their options, so that a peer whose machine is gone does not hold a connection for
//! ever, and the stream over them.
//!
//! Why these settings and no others is in docs/decisions/dead-peers.md.

mod tcp;

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use crate::config::Limits;
pub use tcp::{Tcp, driver, drives_alone};

/// Does an accepted socket inherit the options of the listening one? On Linux it does (tcp(7)); do not rely on it elsewhere.
pub const ACCEPTED_INHERIT: bool = cfg!(target_os = "linux");

/// How many probes the kernel sends to a silent peer before it closes the connection.
const PROBES: u32 = 4;

/// The options of a socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// Silence after which the kernel probes the peer; the probes take as long again.
    pub keepalive: Option<Duration>,
    /// How long sent bytes may stay unacknowledged, or unread by a peer whose buffer is full.
    pub unacknowledged: Option<Duration>,
}

impl Settings {
    /// The options that the configuration asks for.
    pub fn of(limits: &Limits) -> Settings {
        Settings { keepalive: limits.keepalive.limit(), unacknowledged: limits.unacknowledged_timeout.limit() }
    }

    /// Sets the options on a connected socket, or on a listening one for the sockets that it will accept ([`ACCEPTED_INHERIT`]).
    pub fn apply<'s>(self, socket: impl Into<SockRef<'s>>) -> io::Result<()> {
        let socket = socket.into();
        // Answers are written whole; waiting to fill a segment only delays them.
        socket.set_tcp_nodelay(true)?;
        if let Some(time) = self.keepalive {
            let every = (time / PROBES).max(Duration::from_secs(1));
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(time).with_interval(every).with_retries(PROBES))?;
        }
        #[cfg(target_os = "linux")]
        if let Some(limit) = self.unacknowledged {
            socket.set_tcp_user_timeout(Some(limit))?;
        }
        Ok(())
    }
}

impl Settings {
    /// The same for a socket that other settings were applied to, or to the one that it was accepted from: what is off is
    /// switched off.
    pub fn renew<'s>(self, socket: impl Into<SockRef<'s>>) -> io::Result<()> {
        let socket = socket.into();
        if self.keepalive.is_none() {
            socket.set_keepalive(false)?;
        }
        #[cfg(target_os = "linux")]
        if self.unacknowledged.is_none() {
            socket.set_tcp_user_timeout(None)?;
        }
        self.apply(socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_accepted_socket_has_what_its_listener_has() {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        Settings::of(&Limits::default()).apply(&socket).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(8).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let socket = SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(15));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), PROBES);
        let long = Limits { unacknowledged_timeout: crate::config::Span::secs(90), ..Limits::default() };
        for (settings, want) in [(Settings::of(&long), (true, Some(Duration::from_secs(90)))), (Settings::default(), (false, None))] {
            settings.renew(&listener).unwrap();
            let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (accepted, _) = listener.accept().await.unwrap();
            let socket = SockRef::from(&accepted);
            assert_eq!((socket.keepalive().unwrap(), socket.tcp_user_timeout().unwrap()), want);
        }
    }

    #[tokio::test]
    async fn what_is_configured_is_set_and_off_is_left_alone() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        Settings::default().apply(&stream).unwrap();
        assert!(stream.nodelay().unwrap() && !SockRef::from(&stream).keepalive().unwrap());
        let limits = Limits { unacknowledged_timeout: crate::config::Span::secs(90), ..Limits::default() };
        Settings::of(&limits).apply(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(15));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), PROBES);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(90)));
    }
}
