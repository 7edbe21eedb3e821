//! Who was let in over a Unix socket?
//!
//! There a server may ask the kernel who is on the other side, and that is Flashgate's own user, whoever the client is:
//! MariaDB's `unix_socket`, MySQL's `auth_socket`. The wire does not show it: such a server says yes to any answer. So it is
//! asked how the account logs in before the client hears that it is in.

use bytes::Bytes;
use mysql_common::constants::CapabilityFlags as Caps;

use super::expected::status_of_ok;
use super::login::LoginFailure;
use super::own_queries;
use crate::config::DANGER_SOCKET_LOGINS;
use crate::upstream::Stream;
use crate::wire::mysql::connection::Connection;
use crate::wire::mysql::result::Refusal;

const ACCOUNT: &[u8] = b"\x03SHOW CREATE USER CURRENT_USER()";
/// Plugins that look at the other side of a socket. What is named so in another place of the definition is refused as well.
const PEER_PLUGINS: [&[u8]; 2] = [b"unix_socket", b"auth_socket"];

/// What a client has shown in a login.
pub(super) struct PasswordCheck {
    /// Some answer of it was more than nothing.
    given: bool,
}

impl PasswordCheck {
    /// Begins with the answer to the greeting's challenge.
    pub fn new(answer: &[u8]) -> PasswordCheck {
        let mut proof = PasswordCheck { given: false };
        proof.saw(answer);
        proof
    }

    /// Takes a further answer.
    pub fn saw(&mut self, answer: &[u8]) {
        self.given |= !matches!(answer, [] | [0]);
    }

    /// The upstream has said yes, in this OK packet. Was it to the client?
    pub async fn check(&self, upstream: &mut Connection<Stream>, capabilities: Caps, ok: &Bytes) -> Result<(), LoginFailure> {
        if !self.given {
            return Err(refusal("the upstream asked for no password").into());
        }
        let mut status = status_of_ok(ok).unwrap_or_default();
        let sequence = upstream.out.sequence;
        let answered = own_queries::run(upstream, capabilities, &mut status, ACCOUNT).await?;
        upstream.out.sequence = sequence;
        match answered.row {
            Some(account) if !by_peer(&account) => Ok(()),
            Some(_) => {
                Err(refusal("its account logs in as the operating system's user at the other end of a socket, which is Flashgate's").into())
            }
            None => Err(refusal("the upstream does not say how its account logs in").into()),
        }
    }
}

fn by_peer(account: &[u8]) -> bool {
    let account = account.to_ascii_lowercase();
    PEER_PLUGINS.iter().any(|plugin| memchr::memmem::find(&account, plugin).is_some())
}

/// ER_ACCESS_DENIED_ERROR
fn refusal(why: &str) -> Refusal {
    let message = format!(
        "Access denied: {why}. Give the account a password, connect Flashgate to the upstream over TCP, or set {DANGER_SOCKET_LOGINS} \
         to let everybody in whom the socket lets in"
    );
    Refusal::new(1045, "28000", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_of_the_sockets_other_side_is_known_by_its_plugin() {
        for (account, by) in [
            ("CREATE USER `root`@`localhost` IDENTIFIED VIA mysql_native_password USING 'invalid' OR unix_socket", true),
            ("CREATE USER `root`@`localhost` IDENTIFIED VIA unix_socket", true),
            ("CREATE USER `root`@`localhost` IDENTIFIED WITH 'auth_socket' REQUIRE NONE", true),
            ("CREATE USER `root`@`localhost` IDENTIFIED WITH 'AUTH_SOCKET' AS 'x'", true),
            ("CREATE USER `ann`@`localhost` IDENTIFIED BY PASSWORD '*D821809F681A40A6E379B50D0463EFAE20BDD122'", false),
            ("CREATE USER `ann`@`%` IDENTIFIED WITH 'caching_sha2_password' AS '$A$005$'", false),
        ] {
            assert_eq!(by_peer(account.as_bytes()), by, "{account}");
        }
    }

    #[test]
    fn an_empty_answer_proves_nothing_and_a_later_one_may() {
        for empty in [&b""[..], b"\0"] {
            let mut proof = PasswordCheck::new(empty);
            proof.saw(b"\0");
            assert!(!proof.given);
            proof.saw(&[1; 20]);
            assert!(proof.given);
        }
    }
}
