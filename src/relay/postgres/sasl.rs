//! What may pass in an authentication that goes over two connections. I/O-free.
//!
//! The exchange itself is the client's and the upstream's; nothing of it is kept. Two things are looked at: a password
//! in clear text must not leave an encrypted connection for an open one, and channel binding, which ties an exchange to one
//! TLS connection, cannot tie it to two. See docs/decisions/scram-through-tls.md.

use bytes::{BufMut, Bytes, BytesMut};

use crate::config::DANGER_SOCKET_LOGINS;
use crate::wire::postgres::fault::Fault;

const OK: u32 = 0;
const CLEARTEXT: u32 = 3;
const SASL: u32 = 10;
const SASL_FINAL: u32 = 12;
/// What a mechanism with channel binding ends with.
const PLUS: &[u8] = b"-PLUS";

/// How the two connections run.
#[derive(Debug, Clone, Copy)]
pub struct LinkSecurity {
    pub client_tls: bool,
    pub upstream_tls: bool,
    /// The upstream is on this machine.
    pub near: bool,
    /// It may have taken Flashgate's own user for the client's: `peer` asks the kernel who is at the other end of a socket.
    pub peer_login: bool,
}

/// An authentication under way.
#[derive(Debug)]
pub struct Authentication {
    security: LinkSecurity,
    /// Mechanisms with channel binding were taken off the offer.
    stripped: bool,
    /// The client's next message chooses a mechanism.
    choosing: bool,
    /// The client was asked to prove who it is.
    asked: bool,
    /// The client is to say something.
    pub awaiting: bool,
    pub authenticated: bool,
}

impl Authentication {
    pub fn new(security: LinkSecurity) -> Authentication {
        Authentication { security, stripped: false, choosing: false, asked: false, awaiting: false, authenticated: false }
    }

    /// Takes an Authentication message of the upstream, head included; gives what the client is to see of it.
    pub fn offer(&mut self, message: Bytes) -> Result<Bytes, Fault> {
        let code = message.get(5..9).map_or(u32::MAX, |code| u32::from_be_bytes([code[0], code[1], code[2], code[3]]));
        self.awaiting = !matches!(code, OK | SASL_FINAL);
        self.choosing = code == SASL;
        if code == OK && self.security.peer_login && !self.asked {
            return Err(Fault::fatal("28000", "the database behind the proxy asks for no password over its Unix socket: it sees the proxy's own user there")
                .with_hint(format!(
                    "let pg_hba.conf ask for scram-sha-256 on its local lines, connect the proxy to the database over TCP, or set {DANGER_SOCKET_LOGINS} \
                     to let everybody in whom the socket lets in"
                )));
        }
        self.asked |= self.awaiting;
        self.authenticated |= code == OK;
        match code {
            CLEARTEXT if self.security.client_tls && !self.security.upstream_tls && !self.security.near => Err(Fault::fatal(
                "28000",
                "the database behind the proxy asks for a password in clear text over a connection that is not encrypted",
            )
            .with_hint("set upstream.postgres.tls to required or better, or let the database use scram-sha-256")),
            SASL if self.security.upstream_tls => self.strip(message),
            _ => Ok(message),
        }
    }

    fn strip(&mut self, message: Bytes) -> Result<Bytes, Fault> {
        let names: Vec<&[u8]> = message[9..].split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
        let kept: Vec<&[u8]> = names.iter().copied().filter(|name| !name.ends_with(PLUS)).collect();
        if kept.len() == names.len() {
            return Ok(message);
        }
        if kept.is_empty() {
            return Err(Fault::fatal(
                "28000",
                "the database behind the proxy insists on channel binding, which cannot pass through a proxy",
            )
            .with_hint("connect to the database directly"));
        }
        self.stripped = true;
        let mut out = BytesMut::from(&b"R\0\0\0\0"[..]);
        out.put_u32(SASL);
        for name in kept {
            out.put_slice(name);
            out.put_u8(0);
        }
        out.put_u8(0);
        let length = (out.len() - 1) as u32;
        out[1..5].copy_from_slice(&length.to_be_bytes());
        Ok(out.freeze())
    }

    /// Takes the body of the client's answer, which then may go on.
    pub fn answer(&mut self, body: &[u8]) -> Result<(), Fault> {
        self.awaiting = false;
        if !std::mem::take(&mut self.choosing) || !self.stripped {
            return Ok(());
        }
        // The mechanism's name, a length, and the client's first message, which begins with its word on channel binding.
        let end = memchr::memchr(0, body).unwrap_or(body.len());
        match body.get(end + 5..) {
            // The upstream would take it for a man in the middle, and rightly so: the offer was changed on the way.
            Some([b'y', b',', ..]) => Err(Fault::fatal(
                "28000",
                "SCRAM with channel binding cannot pass through a proxy: the connection to the database is another than yours",
            )
            .with_hint(
                "connect with channel_binding=disable, or let the operator of the proxy reach the database over a Unix socket, \
                 or with upstream.postgres.tls = \"disabled\" on a network that is trusted",
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &[u8] = b"R\0\0\0\x2aSASL-HERE";

    fn offer(names: &[&str]) -> Bytes {
        let body: Vec<u8> = names.iter().flat_map(|name| [name.as_bytes(), b"\0"].concat()).collect();
        let body = [&SASL.to_be_bytes()[..], &body, b"\0"].concat();
        [b"R".as_slice(), &(body.len() as u32 + 4).to_be_bytes(), &body].concat().into()
    }

    fn first(message: &str) -> Vec<u8> {
        [b"SCRAM-SHA-256\0".as_slice(), &(message.len() as u32).to_be_bytes(), message.as_bytes()].concat()
    }

    fn exchange(client_tls: bool, upstream_tls: bool, near: bool) -> Authentication {
        Authentication::new(LinkSecurity { client_tls, upstream_tls, near, peer_login: false })
    }

    #[test]
    fn who_is_let_in_unasked_over_a_socket_is_not_let_in() {
        let ok = Bytes::from_static(b"R\0\0\0\x08\0\0\0\0");
        for (peer_login, asks, passes) in [(true, false, false), (true, true, true), (false, false, true)] {
            let mut exchange = Authentication::new(LinkSecurity { client_tls: false, upstream_tls: false, near: true, peer_login });
            if asks {
                exchange.offer(offer(&["SCRAM-SHA-256"])).unwrap();
                exchange.answer(&first("n,,n=,r=abc")).unwrap();
            }
            assert_eq!(exchange.offer(ok.clone()).is_ok(), passes);
            assert_eq!(exchange.authenticated, passes);
        }
    }

    #[test]
    fn channel_binding_is_taken_off_the_offer_of_an_encrypted_upstream_only() {
        let both = offer(&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
        assert_eq!(exchange(true, true, false).offer(both.clone()).unwrap(), offer(&["SCRAM-SHA-256"]));
        assert_eq!(exchange(true, false, false).offer(both.clone()).unwrap(), both);
        assert_eq!(exchange(true, true, false).offer(offer(&["SCRAM-SHA-256-PLUS"])).unwrap_err().sqlstate, "28000");
        let other = Bytes::from_static(OFFER);
        assert_eq!(exchange(true, true, false).offer(other.clone()).unwrap(), other);
    }

    #[test]
    fn a_client_that_would_be_taken_for_a_victim_is_told_what_to_do() {
        for (message, passes) in [("y,,n=,r=abc", false), ("n,,n=,r=abc", true), ("", true), ("p=tls", true)] {
            let mut exchange = exchange(true, true, false);
            exchange.offer(offer(&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"])).unwrap();
            assert_eq!(exchange.answer(&first(message)).is_ok(), passes, "{message}");
        }
        let mut plain = exchange(true, false, true);
        plain.offer(offer(&["SCRAM-SHA-256"])).unwrap();
        assert!(plain.answer(&first("y,,n=,r=abc")).is_ok());
        assert!(exchange(true, true, true).answer(b"").is_ok());
    }

    #[test]
    fn a_clear_password_does_not_leave_an_encrypted_leg_for_an_open_one() {
        let asked = Bytes::from_static(b"R\0\0\0\x08\0\0\0\x03");
        for (client, upstream, near, passes) in
            [(true, false, false, false), (true, true, false, true), (true, false, true, true), (false, false, false, true)]
        {
            assert_eq!(exchange(client, upstream, near).offer(asked.clone()).is_ok(), passes);
        }
    }

    #[test]
    fn it_is_known_whose_turn_it_is() {
        let mut exchange = exchange(false, false, false);
        exchange.offer(offer(&["SCRAM-SHA-256"])).unwrap();
        assert!(exchange.awaiting);
        exchange.answer(&first("n,,n=,r=abc")).unwrap();
        assert!(!exchange.awaiting);
        exchange.offer(Bytes::from_static(b"R\0\0\0\x08\0\0\0\x0c")).unwrap();
        assert!(!exchange.awaiting && !exchange.authenticated);
        exchange.offer(Bytes::from_static(b"R\0\0\0\x08\0\0\0\0")).unwrap();
        assert!(!exchange.awaiting && exchange.authenticated);
        exchange.offer(Bytes::from_static(b"R\0\0")).unwrap();
    }
}
