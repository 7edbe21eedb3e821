//! Bulk data: PostgreSQL's COPY, MySQL's LOAD DATA.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::as_of::Source;
use super::cursor::Cursor;
use super::statement::{Copy, CopyLayout, CopyOptions, CopySource, CopyTarget, Duplicates, Load, LoadOptions, Statement};
use crate::error::{Error, Kind, Result};

pub(super) fn parse(cursor: &mut Cursor, _outer: bool) -> Result<Option<Statement>> {
    if cursor.dialect.is_mysql() {
        if cursor.accept("LOAD DATA") { load(cursor).map(Some) } else { Ok(None) }
    } else if cursor.accept("COPY") {
        copy(cursor).map(Some)
    } else {
        Ok(None)
    }
}

/// `COPY {t [(c, ..)] | (query)} {FROM | TO} target [options]`.
fn copy(cursor: &mut Cursor) -> Result<Statement> {
    let mut binary = cursor.accept("BINARY");
    let source = if cursor.accept_token(&Token::LParen) {
        let start = cursor.mark();
        cursor.skip_parenthesis()?;
        let behind = cursor.mark();
        cursor.back_to(start);
        let toks = cursor.rest()[..behind - 1 - start].to_vec();
        let end = toks.last().map_or(cursor.offset(), |t| t.end);
        let source = Source { dialect: cursor.dialect, text: cursor.text, end };
        let query = super::queries::query(&source, toks)?;
        cursor.back_to(behind);
        CopySource::Query(query)
    } else {
        let name = cursor.name()?;
        let columns = if cursor.peek() == Some(&Token::LParen) { cursor.parenthesised(Cursor::ident)? } else { Vec::new() };
        CopySource::Table { name, columns }
    };
    let from = match cursor.accept_one(&["FROM", "TO"]) {
        Some("FROM") => true,
        Some(_) => false,
        None => return Err(cursor.wanted("FROM or TO")),
    };
    if from && matches!(source, CopySource::Query(_)) {
        return Err(cursor.wanted("TO: a query cannot take data"));
    }
    let target = if cursor.accept(if from { "STDIN" } else { "STDOUT" }) {
        CopyTarget::Client
    } else if cursor.accept("PROGRAM") {
        CopyTarget::Program(cursor.string()?)
    } else {
        CopyTarget::File(cursor.string()?)
    };
    cursor.accept("WITH");
    let mut raw = RawOptions { binary, ..RawOptions::default() };
    if cursor.peek() == Some(&Token::LParen) {
        cursor.parenthesised(|c| raw.option(c))?;
    } else {
        raw.old_options(cursor)?;
    }
    binary = raw.binary;
    if cursor.is("WHERE") {
        return Err(Error::unsupported("COPY FROM .. WHERE"));
    }
    let options = raw.resolve(binary)?;
    Ok(Statement::Copy(Copy { source, from, target, options }))
}

#[derive(Default)]
struct RawOptions {
    binary: bool,
    layout: Option<CopyLayout>,
    delimiter: Option<u8>,
    null: Option<String>,
    header: bool,
    header_match: bool,
    quote: Option<u8>,
    escape: Option<u8>,
}

impl RawOptions {
    /// One of `(FORMAT csv, DELIMITER ',', ..)`.
    fn option(&mut self, cursor: &mut Cursor) -> Result<()> {
        let name = cursor.ident()?.to_ascii_uppercase();
        match name.as_str() {
            "FORMAT" => {
                let format = cursor.ident_or_string()?;
                self.layout = Some(match format.to_ascii_lowercase().as_str() {
                    "text" => CopyLayout::Text,
                    "csv" => CopyLayout::Csv,
                    "binary" => CopyLayout::Binary,
                    _ => return Err(Error::new(Kind::WrongValue, format!("COPY format \"{format}\" not recognized"))),
                });
            }
            "DELIMITER" => self.delimiter = Some(byte(cursor, "delimiter")?),
            "NULL" => self.null = Some(cursor.string()?),
            "QUOTE" => self.quote = Some(byte(cursor, "quote")?),
            "ESCAPE" => self.escape = Some(byte(cursor, "escape")?),
            "HEADER" => {
                self.header = match cursor.peek() {
                    Some(Token::Comma | Token::RParen) => true,
                    Some(Token::Number(n, _)) => {
                        cursor.skip(1);
                        n != "0"
                    }
                    _ => match cursor.ident_or_string()?.to_ascii_lowercase().as_str() {
                        "false" | "off" => false,
                        "true" | "on" => true,
                        "match" => {
                            self.header_match = true;
                            true
                        }
                        _ => return Err(Error::new(Kind::Syntax, "header requires a Boolean value or \"match\"")),
                    },
                }
            }
            "ENCODING" => encoding(cursor)?,
            "FREEZE" => {
                if !matches!(cursor.peek(), Some(Token::Comma | Token::RParen)) {
                    cursor.ident_or_string()?;
                }
            }
            other => return Err(Error::unsupported(format!("the COPY option {other}"))),
        }
        Ok(())
    }

    /// The form before 9.0: `[BINARY] [DELIMITER [AS] 'c'] [NULL [AS] 's'] [CSV [HEADER] [QUOTE [AS] 'c'] ..]`.
    fn old_options(&mut self, cursor: &mut Cursor) -> Result<()> {
        while let Some(word) =
            cursor.accept_one(&["BINARY", "CSV", "DELIMITER", "DELIMITERS", "NULL", "HEADER", "QUOTE", "ESCAPE", "ENCODING"])
        {
            cursor.accept("AS");
            match word {
                "BINARY" => self.binary = true,
                "CSV" => self.layout = Some(CopyLayout::Csv),
                "DELIMITER" | "DELIMITERS" => self.delimiter = Some(byte(cursor, "delimiter")?),
                "NULL" => self.null = Some(cursor.string()?),
                "HEADER" => self.header = true,
                "QUOTE" => self.quote = Some(byte(cursor, "quote")?),
                "ESCAPE" => self.escape = Some(byte(cursor, "escape")?),
                _ => encoding(cursor)?,
            }
        }
        Ok(())
    }

    fn resolve(self, binary: bool) -> Result<CopyOptions> {
        let wrong = |what: &str| Error::new(Kind::WrongValue, format!("cannot specify {what} in this COPY format"));
        let layout = if binary { CopyLayout::Binary } else { self.layout.unwrap_or(CopyLayout::Text) };
        let mut options = CopyOptions::of(layout);
        if layout == CopyLayout::Binary && (self.delimiter.is_some() || self.null.is_some() || self.header) {
            return Err(wrong("DELIMITER, NULL or HEADER"));
        }
        if layout != CopyLayout::Csv && (self.quote.is_some() || self.escape.is_some()) {
            return Err(wrong("QUOTE or ESCAPE"));
        }
        options.delimiter = self.delimiter.unwrap_or(options.delimiter);
        options.null = self.null.unwrap_or(options.null);
        options.header = self.header;
        options.header_match = self.header_match;
        options.quote = self.quote.unwrap_or(options.quote);
        options.escape = self.escape.unwrap_or(options.quote);
        if matches!(options.delimiter, b'\n' | b'\r') || options.null.contains(['\n', '\r']) {
            return Err(Error::new(Kind::WrongValue, "COPY delimiter and null text cannot hold a newline"));
        }
        if layout == CopyLayout::Csv && options.delimiter == options.quote {
            return Err(Error::new(Kind::WrongValue, "COPY delimiter and quote must be different"));
        }
        Ok(options)
    }
}

fn byte(cursor: &mut Cursor, what: &str) -> Result<u8> {
    let text = cursor.string()?;
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(Error::new(Kind::WrongValue, format!("COPY {what} must be a single one-byte character"))),
    }
}

fn encoding(cursor: &mut Cursor) -> Result<()> {
    let name = cursor.ident_or_string()?;
    if ["utf8", "utf-8", "unicode", "utf8mb4"].iter().any(|utf8| name.eq_ignore_ascii_case(utf8)) {
        Ok(())
    } else {
        Err(Error::unsupported(format!("the encoding {name}")).with_hint("send UTF-8"))
    }
}

/// `LOAD DATA [LOW_PRIORITY | CONCURRENT] [LOCAL] INFILE 'f' [REPLACE | IGNORE] INTO TABLE t ..`
fn load(cursor: &mut Cursor) -> Result<Statement> {
    cursor.accept_one(&["LOW_PRIORITY", "CONCURRENT"]);
    let local = cursor.accept("LOCAL");
    cursor.expect("INFILE")?;
    let file = cursor.string()?;
    let duplicates = match cursor.accept_one(&["REPLACE", "IGNORE"]) {
        Some("REPLACE") => Some(Duplicates::Replace),
        Some(_) => Some(Duplicates::Ignore),
        None => None,
    };
    cursor.expect("INTO TABLE")?;
    let table = cursor.name()?;
    if cursor.accept("PARTITION") {
        cursor.parenthesised(Cursor::ident)?;
    }
    if cursor.accept("CHARACTER SET") {
        encoding(cursor)?;
    }
    let mut options = LoadOptions::default();
    fields(cursor, &mut options)?;
    lines(cursor, &mut options)?;
    if cursor.accept("IGNORE") {
        options.skip_lines = cursor.number()?;
        if cursor.accept_one(&["LINES", "ROWS"]).is_none() {
            return Err(cursor.wanted("LINES"));
        }
    }
    let mut columns = Vec::new();
    if cursor.peek() == Some(&Token::LParen) {
        columns = cursor.parenthesised(|c| match c.peek() {
            Some(Token::Word(w)) if w.value.starts_with('@') => {
                Err(Error::unsupported("a user variable in LOAD DATA").with_hint("load all columns, then INSERT .. SELECT"))
            }
            _ => c.ident(),
        })?;
    }
    if cursor.is("SET") {
        return Err(Error::unsupported("LOAD DATA .. SET").with_hint("load, then UPDATE or INSERT .. SELECT"));
    }
    Ok(Statement::LoadData(Load { local, file, table, columns, duplicates, options }))
}

fn fields(cursor: &mut Cursor, options: &mut LoadOptions) -> Result<()> {
    if cursor.accept_one(&["FIELDS", "COLUMNS"]).is_none() {
        return Ok(());
    }
    let words = ["TERMINATED BY", "OPTIONALLY ENCLOSED BY", "ENCLOSED BY", "ESCAPED BY"];
    let mut any = false;
    while let Some(word) = cursor.accept_one(&words) {
        any = true;
        let text = cursor.string()?;
        match word {
            "TERMINATED BY" => options.field_terminator = text.into_bytes(),
            "ESCAPED BY" => options.escaped_by = at_most_one_byte(&text)?,
            _ => options.enclosed_by = at_most_one_byte(&text)?,
        }
    }
    if any { Ok(()) } else { Err(cursor.wanted("TERMINATED BY, ENCLOSED BY or ESCAPED BY")) }
}

fn lines(cursor: &mut Cursor, options: &mut LoadOptions) -> Result<()> {
    if !cursor.accept("LINES") {
        return Ok(());
    }
    let mut any = false;
    while let Some(word) = cursor.accept_one(&["STARTING BY", "TERMINATED BY"]) {
        any = true;
        let text = cursor.string()?.into_bytes();
        if word == "STARTING BY" {
            options.line_prefix = text;
        } else {
            options.line_terminator = text;
        }
    }
    if any { Ok(()) } else { Err(cursor.wanted("STARTING BY or TERMINATED BY")) }
}

fn at_most_one_byte(text: &str) -> Result<Option<u8>> {
    match text.as_bytes() {
        [] => Ok(None),
        [byte] => Ok(Some(*byte)),
        _ => Err(Error::new(Kind::WrongValue, "ENCLOSED BY and ESCAPED BY take one character")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, parse as parse_text};
    use super::*;

    fn copy(text: &str) -> Result<Copy> {
        match parse_text(&Dialect::POSTGRES, text)?.remove(0).statement {
            Statement::Copy(copy) => Ok(copy),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn copy_is_read_in_its_new_and_old_form() {
        let c = copy("COPY s.t (a, b) FROM STDIN WITH (FORMAT csv, HEADER true, DELIMITER ';', NULL 'x')").unwrap();
        assert!(c.from && c.options.header);
        assert_eq!((c.options.layout, c.options.delimiter, c.options.null.as_str()), (CopyLayout::Csv, b';', "x"));
        let c = copy("COPY t FROM STDIN (FORMAT csv, HEADER MATCH)").unwrap();
        assert!(c.options.header && c.options.header_match);
        assert!(copy("COPY t FROM STDIN (FORMAT csv, HEADER perhaps)").is_err());
        let c = copy("copy t to stdout csv header quote as ''''").unwrap();
        assert_eq!((c.options.quote, c.options.escape), (b'\'', b'\''));
        assert_eq!(copy("COPY t FROM STDIN BINARY").unwrap().options.layout, CopyLayout::Binary);
        assert_eq!(copy("COPY t FROM STDIN").unwrap().options, CopyOptions::of(CopyLayout::Text));
        assert!(copy("COPY t FROM STDIN (DELIMITER ';;')").is_err());
        assert!(copy("COPY (SELECT 1) FROM STDIN").is_err());
    }

    #[test]
    fn a_copied_query_may_ask_for_the_past() {
        let c = copy("COPY (SELECT * FROM t WHERE (a = 1) AS OF TIMESTAMP '2022-07-05') TO STDOUT").unwrap();
        assert!(matches!(c.source, CopySource::Query(query) if query.as_of.is_some()));
    }

    #[test]
    fn load_data_takes_its_options() {
        let text = r"LOAD DATA LOCAL INFILE '/x.csv' IGNORE INTO TABLE d.t CHARACTER SET utf8mb4
            FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\x22' ESCAPED BY '' LINES TERMINATED BY '\r\n' IGNORE 1 LINES (a, b)";
        let text = text.replace("\\x22", "\"");
        let Statement::LoadData(load) = parse_text(&Dialect::MYSQL, &text).unwrap().remove(0).statement else { panic!() };
        assert_eq!(load.columns, ["a", "b"]);
        assert_eq!(load.options.line_terminator, b"\r\n");
        assert_eq!((load.options.enclosed_by, load.options.escaped_by, load.options.skip_lines), (Some(b'"'), None, 1));
        assert!(parse_text(&Dialect::MYSQL, "LOAD DATA INFILE 'x' INTO TABLE t (a, @b)").is_err());
    }
}
