//! Errors and notices as a PostgreSQL client reads them: the fields of ErrorResponse and NoticeResponse
//! (PostgreSQL documentation, section 55.8, "Error and Notice Message Fields").

use std::io;

use bytes::{BufMut, BytesMut};
use pgwire::messages::Message;
use pgwire::messages::response::{ErrorResponse, NoticeResponse};

use crate::error::{Error, Foreign, Kind};
use crate::session::{NOTE, Notice};

/// Protocol violation.
pub const PROTOCOL_VIOLATION: &str = "08P01";
/// Data of COPY that cannot be read.
pub const BAD_COPY_FILE_FORMAT: &str = "22P04";
/// A binary value that cannot be read.
pub const INVALID_BINARY: &str = "22P03";
/// Bytes that are not UTF-8.
pub const CHARACTER_NOT_IN_REPERTOIRE: &str = "22021";

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed; the connection goes on.
    Error,
    /// The connection ends after this.
    Fatal,
}

/// An error on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub severity: Severity,
    /// Five characters.
    pub sqlstate: &'static str,
    pub message: String,
    pub hint: Option<String>,
    /// 1-based character position in the text that the client sent.
    pub position: Option<usize>,
    /// Where it happened: `COPY, line 3`.
    pub context: Option<String>,
    /// An ErrorResponse of the upstream's, which goes as it is.
    pub raw: Option<Box<Foreign>>,
}

impl Fault {
    /// The statement failed.
    pub fn error(sqlstate: &'static str, message: impl Into<String>) -> Fault {
        Fault { severity: Severity::Error, sqlstate, message: message.into(), hint: None, position: None, context: None, raw: None }
    }

    /// The connection ends.
    pub fn fatal(sqlstate: &'static str, message: impl Into<String>) -> Fault {
        Fault { severity: Severity::Fatal, ..Fault::error(sqlstate, message) }
    }

    /// A message whose bytes break the protocol, but whose end is known: the connection goes on.
    pub fn protocol(message: impl Into<String>) -> Fault {
        Fault::error(PROTOCOL_VIOLATION, message)
    }

    /// The same, ending the connection.
    pub fn into_fatal(self) -> Fault {
        Fault { severity: Severity::Fatal, raw: None, ..self }
    }

    /// Adds what the user can do about it.
    pub fn with_hint(self, hint: impl Into<String>) -> Fault {
        Fault { hint: Some(hint.into()), ..self }
    }

    /// Adds where it happened.
    pub fn in_context(self, context: impl Into<String>) -> Fault {
        Fault { context: Some(context.into()), ..self }
    }

    /// An error while a connection is being opened: a database that is not there has a code of its own then.
    pub fn at_startup(error: Error) -> Fault {
        let sqlstate = if error.kind() == Kind::UnknownDatabase { "3D000" } else { error.sqlstate() };
        Fault { sqlstate, severity: Severity::Fatal, ..Fault::from(error) }
    }

    /// Writes the ErrorResponse.
    pub fn encode(&self, out: &mut BytesMut) {
        if let Some(raw) = &self.raw {
            out.put_u8(b'E');
            out.put_u32(raw.bytes.len() as u32 + 4);
            return out.put_slice(&raw.bytes);
        }
        let severity = match self.severity {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
        };
        let mut fields = fields(severity, self.sqlstate, &self.message);
        let mut add = |code: u8, value: Option<String>| fields.extend(value.map(|value| (code, clean(&value))));
        add(b'H', self.hint.clone());
        add(b'P', self.position.map(|p| p.to_string()));
        add(b'W', self.context.clone());
        put(&ErrorResponse::new(fields), out);
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let raw = error.foreign().cloned().map(Box::new);
        Fault { hint: error.hint().map(str::to_owned), position: error.position(), raw, ..Fault::error(error.sqlstate(), error.message()) }
    }
}

/// Writes a NoticeResponse for a warning of the session.
pub fn encode_notice(notice: &Notice, out: &mut BytesMut) {
    let severity = if notice.sqlstate == NOTE { "NOTICE" } else { "WARNING" };
    put(&NoticeResponse::new(fields(severity, notice.sqlstate, &notice.message)), out);
}

fn fields(severity: &str, sqlstate: &str, message: &str) -> Vec<(u8, String)> {
    vec![(b'S', severity.to_owned()), (b'V', severity.to_owned()), (b'C', sqlstate.to_owned()), (b'M', clean(message))]
}

/// A NUL would end the field early.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Writes one of pgwire's messages. Its only error is a message longer than the protocol's own limit, which then
/// is left out: none of the messages written through here carries user data of such a size.
pub fn put<M: Message>(message: &M, out: &mut BytesMut) {
    let start = out.len();
    if message.encode(out).is_err() {
        out.truncate(start);
    }
}

/// Why a step of the connection ended early.
#[derive(Debug)]
pub enum Stop {
    /// The client is to be told.
    Fault(Fault),
    /// The client is gone, or the transport failed: nobody is left to be told.
    Gone(io::Error),
}

/// Result of a step of the connection.
pub type Step<T> = Result<T, Stop>;

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Fault(error.into())
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Gone(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_carries_hint_and_position() {
        let mut out = BytesMut::new();
        Fault::from(Error::new(Kind::Syntax, "bad\0word").with_hint("look").at(3)).encode(&mut out);
        let text = String::from_utf8_lossy(&out[5..]).into_owned();
        assert_eq!(text, "SERROR\0VERROR\0C42601\0Mbad\u{fffd}word\0Hlook\0P3\0\0");
        assert_eq!(out.len() - 1, u32::from_be_bytes([out[1], out[2], out[3], out[4]]) as usize);
    }

    #[test]
    fn an_unknown_database_has_its_own_code_only_at_startup() {
        let error = || Error::new(Kind::UnknownDatabase, "no database 'x'");
        assert_eq!(Fault::at_startup(error()).sqlstate, "3D000");
        assert_eq!(Fault::at_startup(error()).severity, Severity::Fatal);
        assert_eq!(Fault::from(error()).sqlstate, "3F000");
    }
}
