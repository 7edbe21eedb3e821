//! Commands: each packet that begins one becomes a [`Command`] or an error; no other file sees raw bytes.
//! Layout: MySQL internals, "Command Phase"; server: sql/protocol_classic.cc, parse_packet.

use bytes::Bytes;
use mysql_common::constants::CapabilityFlags as Caps;

use super::codec::{Malformed, Reader};
use super::codes;
use super::handshake::parse_attributes;

/// A client's command.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// COM_QUIT: the client is done.
    Quit,
    /// COM_INIT_DB: use this database.
    InitDb { database: Bytes },
    /// COM_QUERY: one or more statements.
    Query { text: Bytes },
    /// COM_FIELD_LIST: the columns of a table whose names are LIKE the pattern.
    FieldList { table: Bytes, pattern: Bytes },
    /// COM_STATISTICS: a line for people.
    Statistics,
    /// COM_PROCESS_KILL: end this connection.
    ProcessKill { id: u32 },
    /// COM_PING.
    Ping,
    /// COM_CHANGE_USER: log in again.
    ChangeUser(ChangeUser),
    /// COM_RESET_CONNECTION: a fresh state for the same user.
    ResetConnection,
    /// COM_SET_OPTION: multi-statements on or off.
    SetOption { multi_statements: bool },
    /// COM_STMT_PREPARE.
    Prepare { text: Bytes },
    /// COM_STMT_EXECUTE; the parameters are read later, when the statement is known.
    Execute { statement: u32, cursor: bool, params: Bytes },
    /// MariaDB: one execution for each of many sets of parameters.
    BulkExecute { statement: u32, flags: u16, params: Bytes },
    /// COM_STMT_SEND_LONG_DATA: a piece of a parameter. Has no answer.
    LongData { statement: u32, param: u16, data: Bytes },
    /// COM_STMT_RESET: forget the pieces.
    ResetStatement { statement: u32 },
    /// COM_STMT_CLOSE. Has no answer.
    Close { statement: u32 },
    /// COM_STMT_FETCH: more rows of a cursor.
    Fetch { statement: u32 },
    /// Any other.
    Unknown { code: u8 },
}

/// COM_CHANGE_USER. Debug shows no secret.
#[derive(Clone, PartialEq)]
pub struct ChangeUser {
    /// Bytes of the user's name.
    pub user: Vec<u8>,
    /// The plugin's first answer, to the challenge of the last login.
    pub auth: Vec<u8>,
    /// The database to begin in.
    pub database: Option<Vec<u8>>,
    /// The collation of its text, when given.
    pub collation: Option<u16>,
    /// The plugin that made `auth`.
    pub plugin: Option<String>,
    /// Connection attributes.
    pub attributes: Vec<(String, String)>,
}

impl std::fmt::Debug for ChangeUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeUser").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

impl Command {
    /// Reads the packet of a client that negotiated `capabilities`.
    pub fn parse(packet: &Bytes, capabilities: Caps) -> Result<Command, Malformed> {
        let mut reader = Reader::new(packet);
        let code = reader.u8("command")?;
        let body = packet.slice(1..);
        Ok(match code {
            codes::COM_QUIT => Command::Quit,
            codes::COM_INIT_DB => Command::InitDb { database: body },
            codes::COM_QUERY => Command::Query { text: body },
            codes::COM_FIELD_LIST => {
                let table = reader.nul_bytes("table of COM_FIELD_LIST")?.len();
                // The pattern goes to the packet's end; some clients close it with a NUL.
                let pattern = body.slice(table + 1..);
                let end = memchr::memchr(0, &pattern).unwrap_or(pattern.len());
                Command::FieldList { table: body.slice(..table), pattern: pattern.slice(..end) }
            }
            codes::COM_STATISTICS => Command::Statistics,
            codes::COM_PROCESS_KILL => Command::ProcessKill { id: reader.u32("id of COM_PROCESS_KILL")? },
            codes::COM_PING => Command::Ping,
            codes::COM_CHANGE_USER => Command::ChangeUser(change_user(&mut reader, capabilities)?),
            codes::COM_STMT_PREPARE => Command::Prepare { text: body },
            codes::COM_STMT_EXECUTE => {
                let statement = reader.u32("statement of COM_STMT_EXECUTE")?;
                let cursor = reader.u8("flags of COM_STMT_EXECUTE")? != 0;
                let _iterations = reader.u32("iterations of COM_STMT_EXECUTE")?;
                Command::Execute { statement, cursor, params: body.slice(9..) }
            }
            codes::COM_STMT_BULK_EXECUTE => {
                let statement = reader.u32("statement of COM_STMT_BULK_EXECUTE")?;
                let flags = reader.u16("flags of COM_STMT_BULK_EXECUTE")?;
                Command::BulkExecute { statement, flags, params: body.slice(6..) }
            }
            codes::COM_STMT_SEND_LONG_DATA => {
                let statement = reader.u32("statement of COM_STMT_SEND_LONG_DATA")?;
                let param = reader.u16("parameter of COM_STMT_SEND_LONG_DATA")?;
                Command::LongData { statement, param, data: body.slice(6..) }
            }
            codes::COM_STMT_CLOSE => Command::Close { statement: reader.u32("statement of COM_STMT_CLOSE")? },
            codes::COM_STMT_RESET => Command::ResetStatement { statement: reader.u32("statement of COM_STMT_RESET")? },
            codes::COM_SET_OPTION => match reader.u16("option of COM_SET_OPTION")? {
                0 => Command::SetOption { multi_statements: true },
                1 => Command::SetOption { multi_statements: false },
                _ => return Err(Malformed("option of COM_SET_OPTION")),
            },
            codes::COM_STMT_FETCH => Command::Fetch { statement: reader.u32("statement of COM_STMT_FETCH")? },
            codes::COM_RESET_CONNECTION => Command::ResetConnection,
            code => Command::Unknown { code },
        })
    }
}

fn change_user(reader: &mut Reader<'_>, capabilities: Caps) -> Result<ChangeUser, Malformed> {
    let user = reader.nul_bytes("user of COM_CHANGE_USER")?.to_vec();
    let auth = if capabilities.contains(Caps::CLIENT_SECURE_CONNECTION) {
        let length = reader.u8("authentication response of COM_CHANGE_USER")?;
        reader.bytes(length.into(), "authentication response of COM_CHANGE_USER")?
    } else {
        reader.nul_bytes("authentication response of COM_CHANGE_USER")?
    }
    .to_vec();
    let database = Some(reader.nul_or_rest().to_vec()).filter(|name| !name.is_empty());
    let mut change = ChangeUser { user, auth, database, collation: None, plugin: None, attributes: vec![] };
    if !reader.is_empty() {
        change.collation = Some(reader.u16("collation of COM_CHANGE_USER")?);
    }
    if capabilities.contains(Caps::CLIENT_PLUGIN_AUTH) && !reader.is_empty() {
        change.plugin = Some(String::from_utf8_lossy(reader.nul_or_rest()).into_owned());
    }
    if capabilities.contains(Caps::CLIENT_CONNECT_ATTRS) && !reader.is_empty() {
        change.attributes = parse_attributes(reader)?;
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Command, Malformed> {
        Command::parse(&Bytes::copy_from_slice(bytes), Caps::all())
    }

    #[test]
    fn every_command_is_read() {
        let table: [(&[u8], Command); 12] = [
            (b"\x01", Command::Quit),
            (b"\x02shop", Command::InitDb { database: "shop".into() }),
            (b"\x03SELECT 1", Command::Query { text: "SELECT 1".into() }),
            (b"\x04t\0a%\0", Command::FieldList { table: "t".into(), pattern: "a%".into() }),
            (b"\x0c\x05\0\0\0", Command::ProcessKill { id: 5 }),
            (b"\x0e", Command::Ping),
            (b"\x17\x01\0\0\0\x01\x01\0\0\0xy", Command::Execute { statement: 1, cursor: true, params: "xy".into() }),
            (b"\x18\x01\0\0\0\x02\0abc", Command::LongData { statement: 1, param: 2, data: "abc".into() }),
            (b"\x1b\x01\0", Command::SetOption { multi_statements: false }),
            (b"\x1c\x01\0\0\0\x02\0\0\0", Command::Fetch { statement: 1 }),
            (b"\x1f", Command::ResetConnection),
            (b"\x05", Command::Unknown { code: 5 }),
        ];
        for (bytes, command) in table {
            assert_eq!(parse(bytes), Ok(command));
        }
    }

    #[test]
    fn change_user_is_read_with_and_without_its_tail() {
        let Ok(Command::ChangeUser(read)) = parse(b"\x11bob\0\x03abcdb\0\x2d\0mysql_native_password\0\x04\x01k\x01v") else { panic!() };
        assert_eq!((&read.user[..], &read.auth[..], read.database.as_deref()), (&b"bob"[..], &b"abc"[..], Some(&b"db"[..])));
        assert_eq!((read.collation, read.plugin.as_deref()), (Some(45), Some("mysql_native_password")));
        assert_eq!(read.attributes, [("k".to_owned(), "v".to_owned())]);
        assert!(matches!(parse(b"\x11bob\0\0\0"), Ok(Command::ChangeUser(ChangeUser { plugin: None, .. }))));
    }

    /// Truncated and lying packets; each is an error, none a panic.
    #[test]
    fn malformed_commands_are_errors() {
        let corpus: [&[u8]; 16] = [
            b"",
            b"\x04table without end",
            b"\x0c",
            b"\x0c\x01\x02",
            b"\x11",
            b"\x11bob",
            b"\x11bob\0",
            b"\x11bob\0\xffabc",
            b"\x11bob\0\0\0\x01",
            b"\x11bob\0\0\0\x2d\0plugin\0\xff",
            b"\x17",
            b"\x17\x01\0\0\0\0\x01\0",
            b"\x18\x01\0\0\0\x01",
            b"\x19\x01",
            b"\x1b\x07\0",
            b"\x1c\x01",
        ];
        for bytes in corpus {
            assert!(parse(bytes).is_err(), "{bytes:?}");
        }
    }
}
