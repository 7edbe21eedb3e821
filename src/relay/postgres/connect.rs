//! A connection to the upstream, encrypted as configured.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::upstream::{Encryption, Stream, Upstream};
use crate::wire::postgres::fault::Fault;

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x2F];

/// Why the upstream was not reached.
pub struct Failed {
    pub cause: io::Error,
    sqlstate: &'static str,
    message: &'static str,
    hint: &'static str,
}

impl Failed {
    /// What the client is told: nothing of where the upstream is.
    pub fn fault(&self) -> Fault {
        Fault::fatal(self.sqlstate, self.message).with_hint(self.hint)
    }
}

/// How the connection to the upstream is to run. `preferred` means for PostgreSQL: as it is on this machine, encrypted where
/// offered elsewhere. An upstream without TLS offers no channel binding, so that SCRAM passes over both connections as it is
/// (docs/decisions/scram-through-tls.md); on this machine there is nobody between to listen.
fn wish(upstream: &Upstream, client_tls: bool) -> Encryption {
    match upstream.encryption_for(true) {
        Encryption::IfOffered if upstream.is_near() => Encryption::Plain,
        // The client's own connection may be open; that is no reason to leave this one so.
        Encryption::IfOffered => Encryption::IfOffered,
        _ => upstream.encryption_for(client_tls),
    }
}

/// Connects, for a client of this address.
pub async fn connect(upstream: &Upstream, client: SocketAddr, client_tls: bool) -> Result<Stream, Failed> {
    let failed = |cause: io::Error| {
        let refused = matches!(cause.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound);
        Failed {
            cause,
            sqlstate: if refused { "57P03" } else { "08006" },
            message: if refused {
                "the database behind the proxy takes no connections"
            } else {
                "the database behind the proxy cannot be reached"
            },
            hint: "try again later; the log of the proxy names the cause",
        }
    };
    let mut stream = upstream.connect_for(client).await.map_err(failed)?;
    let wish = wish(upstream, client_tls);
    if wish == Encryption::Plain {
        return Ok(stream);
    }
    stream.write_all(&SSL_REQUEST).await.map_err(failed)?;
    match stream.read_u8().await.map_err(failed)? {
        b'S' => upstream.secure(stream).await.map_err(|cause| Failed {
            cause,
            sqlstate: "08006",
            message: "the connection to the database behind the proxy could not be encrypted",
            hint: "the log of the proxy names the cause; upstream.postgres.tls and upstream.postgres.ca say what is asked of its certificate",
        }),
        b'N' if wish == Encryption::IfOffered => Ok(stream),
        b'N' => Err(Failed {
            cause: io::Error::new(io::ErrorKind::Unsupported, "the upstream offers no TLS"),
            sqlstate: "08006",
            message: "the database behind the proxy offers no TLS, and upstream.postgres.tls asks for it",
            hint: "turn TLS on in the database (ssl = on), or set upstream.postgres.tls to preferred",
        }),
        // An error of a server that is too busy to look at the request; it was not encrypted, so it is not believed.
        _ => Err(failed(io::Error::new(io::ErrorKind::InvalidData, "the upstream did not answer a request for TLS"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, UpstreamTls};

    #[test]
    fn preferred_is_plain_on_this_machine_and_encrypted_elsewhere() {
        let wish = |address: &str, tls| {
            let config = config::Upstream { address: address.into(), tls, ..config::Upstream::default() };
            wish(&Upstream::open(&config, "upstream.postgres", 5432, &[], Default::default(), false).unwrap().unwrap(), false)
        };
        for near in ["127.0.0.1", "localhost:5433", "[::1]:5432", "/run/postgresql/.s.PGSQL.5432"] {
            assert_eq!(wish(near, UpstreamTls::Preferred), Encryption::Plain, "{near}");
        }
        assert_eq!(wish("db.example", UpstreamTls::Preferred), Encryption::IfOffered);
        assert_eq!(wish("db.example", UpstreamTls::Disabled), Encryption::Plain);
        assert_eq!(wish("127.0.0.1", UpstreamTls::Required), Encryption::Required);
    }
}
