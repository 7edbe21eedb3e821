//! Asking the client's own connection to the upstream what state its session is in.

use std::io;

use bytes::Bytes;
use mysql_common::constants::CapabilityFlags as Caps;

use super::expected::{AnswerKind, AnswerProgress, Expected, HEAD};
use crate::error::{Error, Foreign};
use crate::session::{Principal, Status, UpstreamSession};
use crate::sql::Server;
use crate::upstream::Stream;
use crate::wire::mysql::charset::Charset;
use crate::wire::mysql::codec::Reader;
use crate::wire::mysql::connection::{Connection, Lost};

/// The variables that a local statement depends on. Names and zones come as hexadecimal digits of their UTF-8 text, so
/// that no character set of the client stands between.
macro_rules! state {
    ($isolation:literal, $limit:literal) => {
        concat!(
            "\x03SELECT HEX(CONVERT(DATABASE() USING utf8mb4)), @@time_zone, @@system_time_zone, @@sql_mode, @@character_set_client, \
             @@character_set_results, @@collation_connection, TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), NOW()), ",
            $isolation,
            ", ",
            $limit,
            " LIMIT 1"
        )
    };
}
/// The limit of a statement, in seconds.
macro_rules! states {
    ($isolation:literal) => {
        [state!($isolation, "@@max_statement_time"), state!($isolation, "@@max_execution_time * 0.001"), state!($isolation, "0")]
    };
}
const STATES: [&str; 3] = states!("@@transaction_isolation");
/// For servers that have the older name only: MariaDB before 11.1 and MySQL before 5.7.20. MariaDB keeps it.
const OLDER_STATES: [&str; 3] = states!("@@tx_isolation");
const RENAMED: u32 = 50_720;
/// The first versions with a limit.
const LIMITED_MARIADB: u32 = 100_101;
const LIMITED_MYSQL: u32 = 50_708;
/// ER_UNKNOWN_SYSTEM_VARIABLE.
const UNKNOWN_VARIABLE: u16 = 1193;

/// The account that the client was let in as, and whether it may do everything. The names within GRANTEE are quoted, not
/// escaped, and compared byte by byte: to its collation `Root` would be `root`.
const PRINCIPAL: &str = "\x03SELECT HEX(CONVERT(CURRENT_USER() USING utf8mb4)), \
                         (SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES \
                         WHERE PRIVILEGE_TYPE = 'SUPER' AND HEX(CONVERT(GRANTEE USING utf8mb4)) = HEX(CONVERT(CONCAT('''', \
                         LEFT(CURRENT_USER(), CHAR_LENGTH(CURRENT_USER()) - CHAR_LENGTH(SUBSTRING_INDEX(CURRENT_USER(), '@', -1)) - 1), \
                         '''@''', SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '''') USING utf8mb4))) LIMIT 1";

/// How the upstream's session stands.
pub(super) struct State {
    pub upstream_session: UpstreamSession,
    pub charset_client: String,
    pub charset_results: String,
}

/// The question, and those for servers that are not what they say they are.
fn questions(server: Server) -> [&'static str; 4] {
    let (own, other) = if server.mariadb || server.version < RENAMED { (OLDER_STATES, STATES) } else { (STATES, OLDER_STATES) };
    let limit = match server.mariadb {
        true if server.version >= LIMITED_MARIADB => 0,
        false if server.version >= LIMITED_MYSQL => 1,
        _ => 2,
    };
    [own[limit], other[limit], own[2], other[2]]
}

/// Asks; the answer is still to be read.
pub(super) async fn ask_state(upstream: &mut Connection<Stream>, server: Server) -> io::Result<()> {
    send(upstream, questions(server)[0].as_bytes()).await
}

/// Why it is not known how a session stands: the packet of the upstream's error, if that is why.
pub(super) struct StateUnknown(pub Option<Bytes>);

/// What [`ask_state`] has asked. It may not be answered with a row (a query that is killed, a transaction that is being
/// prepared, a limit of zero rows): nothing new is known then but the status.
pub(super) async fn state(
    upstream: &mut Connection<Stream>,
    server: Server,
    capabilities: Caps,
    status: &mut u16,
) -> io::Result<Result<State, StateUnknown>> {
    let mut answered = answer(upstream, capabilities, status).await?;
    for question in &questions(server)[1..] {
        if answered.error.as_ref().is_none_or(|error| error.get(1..3) != Some(&UNKNOWN_VARIABLE.to_le_bytes()[..])) {
            break;
        }
        answered = run(upstream, capabilities, status, question.as_bytes()).await?;
    }
    let Some(row) = answered.row else { return Ok(Err(StateUnknown(answered.error))) };
    let mut reader = Reader::new(&row);
    let mut next = || cell(&mut reader);
    let database = next().and_then(|digits| hex::decode(digits).ok()).and_then(|name| String::from_utf8(name).ok());
    let (zone, system_zone) = (next().unwrap_or_default(), next().unwrap_or_default());
    let sql_mode = next().unwrap_or_default();
    let (client, results) = (next().unwrap_or_default(), next().unwrap_or_default());
    let collation = next().unwrap_or_default();
    let offset = next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
    let isolation = next().unwrap_or_default();
    let limit: f64 = next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0.0);
    let zone = if zone.eq_ignore_ascii_case("SYSTEM") { system(&system_zone, offset) } else { zone };
    let variables = [
        ("time_zone", zone),
        ("sql_mode", sql_mode),
        ("character_set_client", client.clone()),
        ("character_set_results", results.clone()),
        ("collation_connection", collation),
        ("transaction_isolation", isolation),
        ("max_statement_time", limit.to_string()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let upstream_session = UpstreamSession { database, variables, status: status_of(*status), principal: None, server: None };
    Ok(Ok(State { upstream_session, charset_client: client, charset_results: results }))
}

/// Asks who the client is. It changes with a login only.
pub(super) async fn principal(
    upstream: &mut Connection<Stream>,
    capabilities: Caps,
    status: &mut u16,
) -> io::Result<Result<Principal, StateUnknown>> {
    let answered = run(upstream, capabilities, status, PRINCIPAL.as_bytes()).await?;
    Ok(answered.row.and_then(|row| principal_of(&row)).ok_or(StateUnknown(answered.error)))
}

fn principal_of(row: &[u8]) -> Option<Principal> {
    let mut reader = Reader::new(row);
    let account = String::from_utf8(hex::decode(cell(&mut reader)?).ok()?).ok()?;
    let superuser = cell(&mut reader)?.parse::<u64>().ok()? > 0;
    Some(Principal { account, superuser })
}

/// What the upstream's machine calls its zone: a name that is known, or else what its clock differs from UTC now.
fn system(name: &str, offset: i64) -> String {
    // Abbreviations such as CET and EST are zones without the history of a place; the clock's own offset is nearer.
    if name.eq_ignore_ascii_case("UTC") || (name.contains('/') && crate::time::parse_zone(name).is_ok()) {
        return name.to_owned();
    }
    let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, (offset.abs() + 30) / 60);
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// A cell of a text row; None: NULL, or nothing more.
pub(super) fn cell_bytes<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let mut ahead = *reader;
    if ahead.u8("NULL").ok()? == 0xfb {
        reader.u8("NULL").ok()?;
        return None;
    }
    reader.lenenc_bytes("cell").ok()
}

pub(super) fn cell(reader: &mut Reader<'_>) -> Option<String> {
    cell_bytes(reader).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// The answer to a query of the relay.
#[derive(Default)]
pub(super) struct OwnAnswer {
    pub definitions: Vec<Bytes>,
    /// The first row.
    pub row: Option<Bytes>,
    /// All of them.
    pub rows: Vec<Bytes>,
    /// The packet of the error that it ended with.
    pub error: Option<Bytes>,
}

/// What the status flags say.
pub(super) fn status_of(flags: u16) -> Status {
    Status {
        in_transaction: flags & 0x0001 != 0,
        failed: false,
        autocommit: flags & 0x0002 != 0,
        read_only: flags & 0x2000 != 0,
        no_backslash_escapes: flags & 0x0200 != 0,
    }
}

/// Runs a command whose answer the client does not see.
pub(super) async fn run(upstream: &mut Connection<Stream>, capabilities: Caps, status: &mut u16, command: &[u8]) -> io::Result<OwnAnswer> {
    send(upstream, command).await?;
    answer(upstream, capabilities, status).await
}

async fn send(upstream: &mut Connection<Stream>, command: &[u8]) -> io::Result<()> {
    upstream.out.sequence = 0;
    upstream.out.message(|out| out.extend_from_slice(command));
    upstream.flush().await
}

async fn answer(upstream: &mut Connection<Stream>, capabilities: Caps, status: &mut u16) -> io::Result<OwnAnswer> {
    let mut answers = Expected::new(capabilities, *status);
    answers.expect(AnswerKind::Results);
    let mut answered = OwnAnswer::default();
    loop {
        let packet = upstream.reply().await.map_err(broken)?;
        let (in_rows, in_definitions) = (answers.in_rows(), answers.in_definitions());
        let said = answers.packet(&packet[..packet.len().min(HEAD)], packet.len());
        match said {
            AnswerProgress::Done { failed } => {
                answered.error = failed.then_some(packet);
                break;
            }
            AnswerProgress::Continues if in_rows => {
                answered.row.get_or_insert_with(|| packet.clone());
                answered.rows.push(packet);
            }
            AnswerProgress::Continues if in_definitions => answered.definitions.push(packet),
            AnswerProgress::Continues => {}
            AnswerProgress::FileRequested => return Err(io::Error::new(io::ErrorKind::InvalidData, "the upstream asked for a file")),
        }
    }
    *status = answers.status;
    Ok(answered)
}

/// The error of an ERR packet whose text is in this character set, to be passed on as it is.
pub(super) fn error_of(packet: &Bytes, charset: Charset) -> Error {
    let code = packet.get(1..3).map_or(1105, |code| u16::from_le_bytes([code[0], code[1]]));
    let text = packet.get(3..).unwrap_or_default();
    let text = if text.first() == Some(&b'#') { text.get(6..).unwrap_or_default() } else { text };
    let text = charset.decode(text).map_or_else(|_| String::from_utf8_lossy(text).into_owned(), |text| text.into_owned());
    Error::of_upstream(text, Foreign { code, bytes: packet.to_vec() })
}

/// The upstream has gone, or speaks nonsense.
pub(super) fn broken(lost: Lost) -> io::Error {
    match lost {
        Lost::Gone(error) => error,
        Lost::Frame(_) => io::Error::new(io::ErrorKind::InvalidData, "the upstream's packets are out of order"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_zone_is_taken_by_name_only_when_the_name_is_one() {
        assert_eq!(system("UTC", 0), "UTC");
        assert_eq!(system("Europe/Berlin", 7200), "Europe/Berlin");
        assert_eq!(system("CET", 3600), "+01:00");
        assert_eq!(system("EST", -18000), "-05:00");
        assert_eq!(system("Mars/Base", 19800 + 1), "+05:30");
    }

    #[test]
    fn who_the_client_is_is_read_or_not_known() {
        let known = principal_of(b"\x1a616e6e406c6f63616c686f7374\x011");
        assert_eq!(known, Some(Principal { account: "ann@localhost".into(), superuser: true }));
        for unknown in [&b"\x02zz\x010"[..], b"\xfb\x010", b""] {
            assert_eq!(principal_of(unknown), None);
        }
    }

    #[test]
    fn null_and_text_cells_are_told_apart() {
        let mut reader = Reader::new(b"\xfb\x03abc\0");
        assert_eq!(
            [cell(&mut reader), cell(&mut reader), cell(&mut reader), cell(&mut reader)],
            [None, Some("abc".into()), Some("".into()), None]
        );
    }
}
