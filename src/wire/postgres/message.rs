//! What a client may send once its session is open: frames decoded into pgwire's message types.
//!
//! The decoding is our own, strict and total: pgwire's reads past the end of a truncated body (a panic) and replaces
//! bytes that are not UTF-8, where a client must get an error. Layouts: PostgreSQL documentation, section 55.7.

use bytes::{Buf, Bytes};
use pgwire::messages::copy::{CopyData, CopyFail};
use pgwire::messages::extendedquery::{Bind, Close, Describe, Execute, Parse};
use pgwire::messages::simplequery::Query;

use super::fault::{CHARACTER_NOT_IN_REPERTOIRE, Fault};
use super::frame::Frame;

/// A message of the client.
#[derive(Debug)]
pub enum Frontend {
    Query(Query),
    Parse(Parse),
    Bind(Bind),
    Describe(Describe),
    Execute(Execute),
    Close(Close),
    Flush,
    Sync,
    CopyData(CopyData),
    CopyDone,
    CopyFail(CopyFail),
    FunctionCall,
    /// Password, SASL or GSS data: only a login expects it.
    Password,
    Terminate,
}

impl Frontend {
    /// Decodes a frame. The error is the client's to see; the frame's end was known, so the connection may go on.
    pub fn decode(frame: Frame) -> Result<Frontend, Fault> {
        let mut body = Body(frame.body);
        let message = match frame.kind {
            b'Q' => Frontend::Query(Query::new(body.text()?)),
            b'P' => {
                let (name, query) = (body.name()?, body.text()?);
                let oids = body.counted(4, |b| b.u32())?;
                Frontend::Parse(Parse::new(name, query, oids))
            }
            b'B' => {
                let (portal, statement) = (body.name()?, body.name()?);
                let formats = body.counted(2, |b| b.i16())?;
                let values = body.counted(4, |b| b.value())?;
                let results = body.counted(2, |b| b.i16())?;
                Frontend::Bind(Bind::new(portal, statement, formats, values, results))
            }
            b'D' => Frontend::Describe(Describe::new(body.target()?, body.name()?)),
            b'C' => Frontend::Close(Close::new(body.target()?, body.name()?)),
            b'E' => Frontend::Execute(Execute::new(body.name()?, body.u32()? as i32)),
            b'H' => Frontend::Flush,
            b'S' => Frontend::Sync,
            b'd' => return Ok(Frontend::CopyData(CopyData::new(body.0))),
            b'c' => Frontend::CopyDone,
            b'f' => Frontend::CopyFail(CopyFail::new(body.text()?)),
            b'F' => return Ok(Frontend::FunctionCall),
            b'p' => return Ok(Frontend::Password),
            b'X' => Frontend::Terminate,
            kind => return Err(Fault::protocol(format!("invalid frontend message type {kind}"))),
        };
        if body.0.is_empty() { Ok(message) } else { Err(malformed()) }
    }
}

fn malformed() -> Fault {
    Fault::protocol("invalid message format")
}

/// A reader of a message body that never reads past its end.
struct Body(Bytes);

impl Body {
    /// A string that ends with NUL.
    fn text(&mut self) -> Result<String, Fault> {
        let end = memchr::memchr(0, &self.0).ok_or_else(|| Fault::protocol("invalid string in message"))?;
        let bytes = self.0.split_to(end);
        self.0.advance(1);
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(not_utf8(&bytes[error.valid_up_to()..])),
        }
    }

    /// The name of a statement or portal; None: the unnamed one.
    fn name(&mut self) -> Result<Option<String>, Fault> {
        self.text().map(|name| Some(name).filter(|name| !name.is_empty()))
    }

    /// `S`tatement or `P`ortal.
    fn target(&mut self) -> Result<u8, Fault> {
        match self.0.try_get_u8() {
            Ok(target @ (b'S' | b'P')) => Ok(target),
            _ => Err(malformed()),
        }
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        self.0.try_get_u32().map_err(|_| malformed())
    }

    fn i16(&mut self) -> Result<i16, Fault> {
        self.0.try_get_i16().map_err(|_| malformed())
    }

    /// A length and so many bytes; -1 is NULL.
    fn value(&mut self) -> Result<Option<Bytes>, Fault> {
        match self.u32()? as i32 {
            -1 => Ok(None),
            length => match usize::try_from(length) {
                Ok(length) if length <= self.0.len() => Ok(Some(self.0.split_to(length))),
                _ => Err(malformed()),
            },
        }
    }

    /// A 16-bit count and so many items of at least `size` bytes.
    fn counted<T>(&mut self, size: usize, item: impl Fn(&mut Body) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
        let count = self.i16()? as u16 as usize;
        if count * size > self.0.len() {
            return Err(malformed());
        }
        (0..count).map(|_| item(self)).collect()
    }
}

/// The error for text that is not UTF-8; `rest` begins with the first bad byte.
pub fn not_utf8(rest: &[u8]) -> Fault {
    let shown: Vec<String> = rest.iter().take(4).map(|b| format!("0x{b:02x}")).collect();
    Fault::error(CHARACTER_NOT_IN_REPERTOIRE, format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(kind: u8, body: &'static [u8]) -> Result<Frontend, Fault> {
        Frontend::decode(Frame { kind, body: Bytes::from_static(body) })
    }

    #[test]
    fn every_malformed_body_is_an_error() {
        let corpus: &[(u8, &[u8])] = &[
            (b'Q', b""),
            (b'Q', b"select 1"),
            (b'Q', b"select 1\0more"),
            (b'P', b"name\0select 1\0"),
            (b'P', b"name\0select 1\0\0"),
            (b'P', b"name\0select 1\0\xff\xff\0\0"),
            (b'P', b"\0\0\0\x02\0\0\0\x17"),
            (b'B', b""),
            (b'B', b"\0\0"),
            (b'B', b"\0\0\xff\xff"),
            (b'B', b"\0\0\0\0\xff\xff"),
            (b'B', b"\0\0\0\0\0\x01\0\0\0\x05ab"),
            (b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0"),
            (b'B', b"\0\0\0\0\0\0\0\x05\0\0\0\0\0\0"),
            (b'D', b""),
            (b'D', b"X\0"),
            (b'D', b"S"),
            (b'C', b"Qname\0"),
            (b'E', b"\0\0"),
            (b'E', b"\0\0\0\0\0\0"),
            (b'S', b"x"),
            (b'f', b"no end"),
            (b'?', b""),
        ];
        for (kind, body) in corpus {
            let fault = decode(*kind, body).unwrap_err();
            assert_eq!(fault.sqlstate, "08P01", "{} {body:?}", *kind as char);
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_an_error_not_a_replacement() {
        for (kind, body) in [(b'Q', &b"select '\xff'\0"[..]), (b'P', b"\0select '\xc3\0\0\0"), (b'f', b"\x80\0")] {
            assert_eq!(decode(kind, body).unwrap_err().sqlstate, "22021");
        }
    }

    #[test]
    fn a_bind_keeps_nulls_and_empty_values_apart() {
        let Ok(Frontend::Bind(bind)) = decode(b'B', b"p\0s\0\0\x01\0\x01\0\x03\0\0\0\x02hi\xff\xff\xff\xff\0\0\0\0\0\x01\0\x01") else {
            panic!("not a bind");
        };
        assert_eq!((bind.portal_name.as_deref(), bind.statement_name.as_deref()), (Some("p"), Some("s")));
        assert_eq!(bind.parameters, vec![Some(Bytes::from_static(b"hi")), None, Some(Bytes::new())]);
        assert_eq!((bind.parameter_format_codes, bind.result_column_format_codes), (vec![1], vec![1]));
    }
}
