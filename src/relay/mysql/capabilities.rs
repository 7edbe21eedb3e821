//! What is changed of the packets that open a connection: capabilities that a relay cannot keep, and TLS.
//!
//! I/O-free. Layout: MySQL internals, "Protocol::HandshakeV10", "Protocol::HandshakeResponse41"; MariaDB, "Connecting".

use mysql_common::constants::CapabilityFlags as Caps;

use crate::sql::Server;
use crate::wire::mysql::codec::{Malformed, Reader};

/// MariaDB's own capabilities stand in four more bytes; these a relay can keep. Not kept: COM_MULTI, which no server has any
/// more, and the cache of definitions, which leaves them out of results.
const MARIADB_KEPT: u32 = MARIADB_PROGRESS | MARIADB_STMT_BULK | MARIADB_EXTENDED_METADATA | MARIADB_BULK_UNIT_RESULTS;
const MARIADB_PROGRESS: u32 = 1;
const MARIADB_STMT_BULK: u32 = 1 << 2;
/// Definitions of columns carry the names of types that have no number.
pub const MARIADB_EXTENDED_METADATA: u32 = 1 << 3;
const MARIADB_BULK_UNIT_RESULTS: u32 = 1 << 5;

/// What the relay does not offer: it reads statements, and follows result sets in their plain form.
pub fn withheld() -> Caps {
    Caps::CLIENT_COMPRESS
        | Caps::CLIENT_ZSTD_COMPRESSION_ALGORITHM
        | Caps::CLIENT_QUERY_ATTRIBUTES
        | Caps::CLIENT_OPTIONAL_RESULTSET_METADATA
}

/// The upstream's greeting, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greeting {
    /// The connection's id at the upstream.
    pub id: u32,
    /// It offers TLS.
    pub tls: bool,
    /// What it is.
    pub server: Server,
    /// MariaDB's own capabilities that are offered.
    pub mariadb: u32,
}

/// Reads a greeting and takes out of it what is not kept. `tls`: does Flashgate offer it?
pub fn adapt(packet: &mut [u8], tls: bool) -> Result<Greeting, Malformed> {
    let mut reader = Reader::new(packet);
    if reader.u8("protocol version")? != 10 {
        return Err(Malformed("the upstream speaks a protocol other than version 10"));
    }
    let server = Server::of_version(&String::from_utf8_lossy(reader.nul_bytes("version")?));
    let id = reader.u32("connection id")?;
    reader.bytes(9, "challenge")?;
    let whole = packet.len();
    let low_at = whole - reader.rest().len();
    let mut reader = Reader::new(&packet[low_at..]);
    let low = reader.u16("capabilities")?;
    reader.bytes(3, "collation and status")?;
    let high = reader.u16("capabilities")?;
    reader.u8("length of the challenge")?;
    reader.bytes(6, "reserved bytes")?;
    let more = reader.u32("more capabilities")?;
    let offered = u32::from(low) | u32::from(high) << 16;
    let mut kept = offered & !withheld().bits() & !Caps::CLIENT_SSL.bits();
    if tls {
        kept |= Caps::CLIENT_SSL.bits();
    }
    packet[low_at..low_at + 2].copy_from_slice(&(kept as u16).to_le_bytes());
    packet[low_at + 5..low_at + 7].copy_from_slice(&((kept >> 16) as u16).to_le_bytes());
    let mut mariadb = 0;
    if offered & Caps::CLIENT_LONG_PASSWORD.bits() == 0 {
        mariadb = more & MARIADB_KEPT;
        packet[low_at + 14..low_at + 18].copy_from_slice(&mariadb.to_le_bytes());
    }
    Ok(Greeting { id, tls: offered & Caps::CLIENT_SSL.bits() != 0, server, mariadb })
}

/// Takes out of a client's answer what was not offered to it, and sets whether the connection to the upstream is encrypted.
pub fn adapt_response(packet: &mut [u8], tls: bool) {
    let Some(bytes) = packet.get(..4) else { return };
    let asked = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let mut kept = asked & !withheld().bits() & !Caps::CLIENT_SSL.bits();
    if tls {
        kept |= Caps::CLIENT_SSL.bits();
    }
    packet[..4].copy_from_slice(&kept.to_le_bytes());
    if asked & Caps::CLIENT_LONG_PASSWORD.bits() == 0
        && let Some(more) = packet.get_mut(28..32)
    {
        let kept = u32::from_le_bytes([more[0], more[1], more[2], more[3]]) & MARIADB_KEPT;
        more.copy_from_slice(&kept.to_le_bytes());
    }
}

/// A plugin whose answer is the password itself where the connection is encrypted.
pub fn sends_password(plugin: &str) -> bool {
    let plugins = ["mysql_clear_password", "sha256_password", "dialog", "authentication_openid_connect_client"];
    plugins.iter().any(|known| known.eq_ignore_ascii_case(plugin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::mysql::handshake::{put_greeting, server_capabilities};

    fn greeting(caps: Caps) -> Vec<u8> {
        let mut out = vec![];
        put_greeting(&mut out, 7, &[b'a'; 20], caps);
        out
    }

    fn capabilities(greeting: &[u8]) -> (Caps, u32) {
        let at = greeting.iter().position(|b| *b == 0).unwrap() + 1 + 4 + 9;
        let number = |at: usize| u32::from(u16::from_le_bytes([greeting[at], greeting[at + 1]]));
        let more = u32::from_le_bytes(greeting[at + 14..at + 18].try_into().unwrap());
        (Caps::from_bits_retain(number(at) | number(at + 5) << 16), more)
    }

    #[test]
    fn only_what_is_kept_is_offered_and_all_else_is_the_upstream_s() {
        let all = server_capabilities(true) | withheld();
        for tls in [true, false] {
            let mut packet = greeting(all);
            assert_eq!(adapt(&mut packet, tls).unwrap(), Greeting { id: 7, tls: true, server: Server::of_version("8.0.40"), mariadb: 0 });
            assert_eq!(packet, greeting(server_capabilities(tls)));
        }
        let mut mariadb = greeting(server_capabilities(false) - Caps::CLIENT_LONG_PASSWORD);
        let at = mariadb.iter().position(|b| *b == 0).unwrap() + 1 + 4 + 9 + 14;
        mariadb[at..at + 4].copy_from_slice(&0x3f_u32.to_le_bytes());
        let read = adapt(&mut mariadb, false).unwrap();
        assert_eq!(read, Greeting { id: 7, tls: false, server: Server::of_version("8.0.40"), mariadb: MARIADB_KEPT });
        assert_eq!(capabilities(&mariadb).1, MARIADB_KEPT);
    }

    #[test]
    fn a_greeting_cut_anywhere_is_an_error_and_no_panic() {
        let whole = greeting(server_capabilities(true));
        for cut in 0..whole.len() - 40 {
            assert!(adapt(&mut whole[..cut].to_vec(), true).is_err(), "{cut}");
        }
        for cut in 0..40 {
            adapt_response(&mut vec![0; cut], true);
        }
    }
}
