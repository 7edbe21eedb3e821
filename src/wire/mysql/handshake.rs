//! The first packets: our greeting, the client's answer, and the request to go on in TLS.
//!
//! Bytes in, values out. Layout: MySQL internals, "Protocol::HandshakeV10", "Protocol::HandshakeResponse41" and
//! "Protocol::SSLRequest"; server: sql/auth/sql_authentication.cc, parse_client_handshake_packet.

use mysql_common::constants::CapabilityFlags as Caps;
use rand::Rng;

use super::SERVER_VERSION;
use super::charset::UTF8MB4;
use super::codec::{Malformed, Reader};

/// The plugin that the greeting announces.
pub const CACHING_SHA2: &str = "caching_sha2_password";
/// The plugin that works without TLS and without a password seen before.
pub const NATIVE: &str = "mysql_native_password";

/// A server's challenge: 20 bytes, none of them NUL or `$`, of 7 bits, as MySQL's own (generate_user_salt).
pub type Salt = [u8; 20];

/// A fresh random challenge.
pub fn fresh_salt() -> Salt {
    let mut rng = rand::rng();
    std::array::from_fn(|_| {
        loop {
            let byte = rng.random_range(1..128u8);
            if byte != b'$' {
                return byte;
            }
        }
    })
}

/// What this server can do; with TLS only when it has a certificate.
pub fn server_capabilities(tls: bool) -> Caps {
    let always = Caps::CLIENT_LONG_PASSWORD
        | Caps::CLIENT_FOUND_ROWS
        | Caps::CLIENT_LONG_FLAG
        | Caps::CLIENT_CONNECT_WITH_DB
        | Caps::CLIENT_LOCAL_FILES
        | Caps::CLIENT_PROTOCOL_41
        | Caps::CLIENT_INTERACTIVE
        | Caps::CLIENT_TRANSACTIONS
        | Caps::CLIENT_SECURE_CONNECTION
        | Caps::CLIENT_MULTI_STATEMENTS
        | Caps::CLIENT_MULTI_RESULTS
        | Caps::CLIENT_PS_MULTI_RESULTS
        | Caps::CLIENT_PLUGIN_AUTH
        | Caps::CLIENT_CONNECT_ATTRS
        | Caps::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA
        | Caps::CLIENT_SESSION_TRACK
        | Caps::CLIENT_DEPRECATE_EOF;
    if tls { always | Caps::CLIENT_SSL } else { always }
}

/// Appends the greeting. `id` is what KILL takes.
pub fn put_greeting(out: &mut Vec<u8>, id: u32, salt: &Salt, capabilities: Caps) {
    let bits = capabilities.bits();
    out.push(10);
    out.extend_from_slice(SERVER_VERSION.as_bytes());
    out.push(0);
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(&salt[..8]);
    out.push(0);
    out.extend_from_slice(&(bits as u16).to_le_bytes());
    out.push(UTF8MB4 as u8);
    out.extend_from_slice(&super::result::AUTOCOMMIT.to_le_bytes());
    out.extend_from_slice(&((bits >> 16) as u16).to_le_bytes());
    out.push(salt.len() as u8 + 1);
    out.extend_from_slice(&[0; 10]);
    out.extend_from_slice(&salt[8..]);
    out.push(0);
    out.extend_from_slice(CACHING_SHA2.as_bytes());
    out.push(0);
}

/// The client's first packet.
#[derive(Debug)]
pub enum FirstPacket {
    /// It wants TLS first, then sends its answer.
    Tls,
    /// Its answer.
    Response(HandshakeResponse),
}

/// The client's user, database and options, as it sent them. Debug shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct HandshakeResponse {
    /// What the client can do and asks for.
    pub capabilities: Caps,
    /// The collation of its text.
    pub collation: u8,
    /// Bytes of the user's name.
    pub user: Vec<u8>,
    /// The plugin's first answer.
    pub auth: Vec<u8>,
    /// The database to begin in.
    pub database: Option<Vec<u8>>,
    /// The plugin that made `auth`; None: the client knows no plugins.
    pub plugin: Option<String>,
    /// Connection attributes.
    pub attributes: Vec<(String, String)>,
    /// MariaDB's own capabilities, of a client of MariaDB's.
    pub mariadb: u32,
}

impl std::fmt::Debug for HandshakeResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandshakeResponse").field("capabilities", &self.capabilities).field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

const FIXED: usize = 32;

impl FirstPacket {
    /// Reads the client's first packet, or the one after TLS began.
    pub fn parse(packet: &[u8]) -> Result<FirstPacket, Malformed> {
        let mut reader = Reader::new(packet);
        let capabilities = Caps::from_bits_truncate(reader.u32("capabilities")?);
        if !capabilities.contains(Caps::CLIENT_PROTOCOL_41) {
            return Err(Malformed("the client speaks the protocol of MySQL before 4.1"));
        }
        let _max_packet = reader.u32("maximum packet size")?;
        let collation = reader.u8("collation")?;
        reader.bytes(19, "reserved bytes")?;
        let mariadb = reader.u32("reserved bytes")?;
        let mariadb = if capabilities.contains(Caps::CLIENT_LONG_PASSWORD) { 0 } else { mariadb };
        if capabilities.contains(Caps::CLIENT_SSL) && packet.len() == FIXED {
            return Ok(FirstPacket::Tls);
        }
        let user = reader.nul_bytes("user")?.to_vec();
        let auth = if capabilities.contains(Caps::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA) {
            reader.lenenc_bytes("authentication response")?
        } else if capabilities.contains(Caps::CLIENT_SECURE_CONNECTION) {
            let length = reader.u8("authentication response")?;
            reader.bytes(length.into(), "authentication response")?
        } else {
            reader.nul_or_rest()
        }
        .to_vec();
        let database = capabilities.contains(Caps::CLIENT_CONNECT_WITH_DB).then(|| reader.nul_or_rest().to_vec());
        let plugin = capabilities.contains(Caps::CLIENT_PLUGIN_AUTH).then(|| text(reader.nul_or_rest()));
        let attributes =
            if capabilities.contains(Caps::CLIENT_CONNECT_ATTRS) && !reader.is_empty() { parse_attributes(&mut reader)? } else { vec![] };
        let database = database.filter(|name| !name.is_empty());
        Ok(FirstPacket::Response(HandshakeResponse { capabilities, collation, user, auth, database, plugin, attributes, mariadb }))
    }
}

/// Reads connection attributes: their length in all, then names and values.
pub fn parse_attributes(reader: &mut Reader<'_>) -> Result<Vec<(String, String)>, Malformed> {
    let mut inner = Reader::new(reader.lenenc_bytes("connection attributes")?);
    let mut attributes = vec![];
    while !inner.is_empty() {
        let name = text(inner.lenenc_bytes("name of a connection attribute")?);
        attributes.push((name, text(inner.lenenc_bytes("value of a connection attribute")?)));
    }
    Ok(attributes)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A well-formed answer of a client that can do `capabilities`.
    pub fn response_bytes(capabilities: Caps, user: &str, auth: &[u8], database: &str, plugin: &str) -> Vec<u8> {
        let mut out = capabilities.bits().to_le_bytes().to_vec();
        out.extend_from_slice(&[0, 0, 0, 1, 45]);
        out.extend_from_slice(&[0; 23]);
        out.extend_from_slice(user.as_bytes());
        out.push(0);
        out.push(auth.len() as u8);
        out.extend_from_slice(auth);
        if capabilities.contains(Caps::CLIENT_CONNECT_WITH_DB) {
            out.extend_from_slice(database.as_bytes());
            out.push(0);
        }
        out.extend_from_slice(plugin.as_bytes());
        out.push(0);
        if capabilities.contains(Caps::CLIENT_CONNECT_ATTRS) {
            out.extend_from_slice(b"\x08\x03_os\x03lin");
        }
        out
    }

    #[test]
    fn salts_differ_and_hold_neither_nul_nor_dollar() {
        let salts: Vec<Salt> = (0..200).map(|_| fresh_salt()).collect();
        assert!(salts.iter().flatten().all(|&b| b != 0 && b != b'$' && b < 128));
        assert!(salts.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn an_answer_is_read_whole() {
        let caps = server_capabilities(false);
        let FirstPacket::Response(read) = FirstPacket::parse(&response_bytes(caps, "ann", &[7; 32], "shop", CACHING_SHA2)).unwrap() else {
            panic!("no response")
        };
        assert_eq!(read.user, b"ann");
        assert_eq!(read.auth, [7; 32]);
        assert_eq!(read.database.as_deref(), Some(&b"shop"[..]));
        assert_eq!(read.plugin.as_deref(), Some(CACHING_SHA2));
        assert_eq!(read.attributes, [("_os".to_owned(), "lin".to_owned())]);
    }

    #[test]
    fn an_answer_cut_anywhere_is_an_error_or_a_shorter_answer_but_no_panic() {
        let whole = response_bytes(server_capabilities(false), "ann", &[7; 32], "shop", CACHING_SHA2);
        for cut in 0..whole.len() {
            let parsed = FirstPacket::parse(&whole[..cut]);
            assert!(cut >= 32 + 4 + 33 || parsed.is_err(), "{cut}");
        }
    }

    #[test]
    fn thirty_two_bytes_with_the_tls_flag_ask_for_tls() {
        let mut bytes = (Caps::CLIENT_SSL | Caps::CLIENT_PROTOCOL_41).bits().to_le_bytes().to_vec();
        bytes.resize(32, 0);
        assert!(matches!(FirstPacket::parse(&bytes), Ok(FirstPacket::Tls)));
    }
}
