//! CREATE TABLE: columns, keys, options, LIKE and AS SELECT.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::as_of::Source;
use super::column::{column, references};
use super::cursor::Cursor;
use super::ddl::{CreateTable, KeyDef, Written};
use super::statement::Statement;
use super::tokens::Tok;
use crate::error::{Error, Kind, Result};
use crate::types::same;

pub(super) fn parse(cursor: &mut Cursor, _outer: bool) -> Result<Option<Statement>> {
    let start = cursor.offset();
    let temporary = cursor.accept_one(&["CREATE TEMPORARY TABLE", "CREATE TEMP TABLE"]).is_some();
    let shadow = !temporary && cursor.accept("CREATE OR SHADOW TABLE");
    if !(temporary || shadow) && cursor.accept_one(&["CREATE TABLE", "CREATE UNLOGGED TABLE", "CREATE EXTERNAL TABLE"]).is_none() {
        return Ok(None);
    }
    let if_not_exists = cursor.if_not_exists();
    let text = cursor.text;
    let between = |from: usize, to: usize| text.get(from..to).unwrap_or_default().trim().to_owned();
    let name_at = cursor.offset();
    let name = cursor.name()?;
    let mut written = Written { create: between(start, name_at), name: between(name_at, cursor.offset()), options: String::new() };
    let mut table = CreateTable {
        name,
        temporary,
        shadow,
        if_not_exists,
        columns: Vec::new(),
        keys: Vec::new(),
        engine: None,
        archive_mode: None,
        comment: String::new(),
        like: None,
        as_query: None,
        warnings: Vec::new(),
        written: Written::default(),
    };
    let mut names = Vec::new();
    if cursor.accept("PARTITION OF") {
        return Err(Error::unsupported("CREATE TABLE .. PARTITION OF"));
    }
    if cursor.accept("LIKE") {
        table.like = Some(cursor.name()?);
    } else if let Some(count) = named_only(cursor) {
        names = cursor.rest()[..count].to_vec();
        cursor.skip(count);
    } else if cursor.peek() == Some(&Token::LParen) && !is_query(cursor, 1) {
        cursor.skip(1);
        elements(cursor, &mut table)?;
    }
    let options_at = cursor.offset();
    options(cursor, &mut table)?;
    written.options = between(options_at, cursor.offset());
    table.written = written;
    as_query(cursor, &mut table, names)?;
    if table.columns.is_empty() && table.like.is_none() && table.as_query.is_none() {
        return Err(cursor.wanted("columns, LIKE or AS SELECT"));
    }
    finish_keys(&mut table)?;
    Ok(Some(Statement::CreateTable(Box::new(table))))
}

fn is_query(cursor: &Cursor, n: usize) -> bool {
    ["SELECT", "WITH", "VALUES", "TABLE"].iter().any(|word| cursor.is_word_at(n, word))
}

/// `(a, b) AS ..`: names for a query's columns, without types. How many tokens they are, parentheses included.
fn named_only(cursor: &Cursor) -> Option<usize> {
    if cursor.peek() != Some(&Token::LParen) || is_query(cursor, 1) {
        return None;
    }
    let mut at = 1;
    loop {
        if !matches!(cursor.peek_at(at), Some(Token::Word(_))) {
            return None;
        }
        match cursor.peek_at(at + 1) {
            Some(Token::Comma) => at += 2,
            Some(Token::RParen) if cursor.is_word_at(at + 2, "AS") => return Some(at + 2),
            _ => return None,
        }
    }
}

/// `query` as `SELECT * FROM (query) AS named (a, b)`.
fn with_names(query: Vec<Tok>, names: Vec<Tok>) -> Vec<Tok> {
    let (Some(first), Some(last)) = (query.first(), query.last()) else { return query };
    let (start, end) = (first.start, last.end);
    let made = |token| Tok { token, start, end };
    let mut toks: Vec<Tok> =
        [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM"), Token::LParen].map(made).into_iter().collect();
    toks.extend(query);
    toks.extend([Token::RParen, Token::make_keyword("AS"), Token::make_word("named", None)].map(made));
    toks.extend(names);
    toks
}

fn as_query(cursor: &mut Cursor, table: &mut CreateTable, names: Vec<Tok>) -> Result<()> {
    if cursor.accept_one(&["IGNORE", "REPLACE"]).is_some() {
        table.warnings.push("IGNORE and REPLACE have no effect: keys are documentation only".into());
    }
    let named = cursor.accept("AS");
    if cursor.is_end() && !named {
        return Ok(());
    }
    let mut toks = cursor.rest().to_vec();
    let mut empty = false;
    for (words, no_data) in [(&["WITH", "NO", "DATA"][..], true), (&["WITH", "DATA"], false)] {
        let Some(from) = toks.len().checked_sub(words.len()) else { continue };
        if toks[from..].iter().zip(words).all(|(tok, word)| tok.token.to_string().eq_ignore_ascii_case(word)) {
            toks.truncate(from);
            empty = no_data;
            break;
        }
    }
    if empty {
        return Err(Error::unsupported("WITH NO DATA").with_hint("add WHERE false to the query"));
    }
    if !named && !is_query(cursor, 0) && cursor.peek() != Some(&Token::LParen) {
        return Err(cursor.error());
    }
    let source = Source { dialect: cursor.dialect, text: cursor.text, end: cursor.end_offset() };
    if !names.is_empty() {
        toks = with_names(toks, names);
    }
    table.as_query = Some(super::queries::query(&source, toks)?);
    cursor.skip(usize::MAX / 2);
    Ok(())
}

/// What stands between the parentheses; the `(` has been taken.
fn elements(cursor: &mut Cursor, table: &mut CreateTable) -> Result<()> {
    loop {
        if cursor.accept("LIKE") {
            table.like = Some(cursor.name()?);
            while cursor.accept_one(&["INCLUDING", "EXCLUDING"]).is_some() {
                cursor.ident()?;
            }
        } else if let Some(key) = table_key(cursor, &mut table.warnings)? {
            table.keys.extend(key);
        } else {
            let (column, keys) = column(cursor, &mut table.warnings)?;
            if table.columns.iter().any(|c| same(&c.name, &column.name)) {
                return Err(Error::new(Kind::Duplicate, format!("column '{}' is given twice", column.name)));
            }
            table.columns.push(column);
            table.keys.extend(keys);
        }
        if cursor.accept_token(&Token::Comma) {
            continue;
        }
        cursor.expect_token(&Token::RParen)?;
        return Ok(());
    }
}

/// A key or constraint of the table: Some(None) when it was taken without being kept.
pub(super) fn table_key(cursor: &mut Cursor, warnings: &mut Vec<String>) -> Result<Option<Option<KeyDef>>> {
    // A column may be called `key` or `index`: then a type follows.
    let starts = ["CONSTRAINT", "PRIMARY KEY", "UNIQUE", "KEY", "INDEX", "FULLTEXT", "SPATIAL", "FOREIGN KEY", "CHECK", "EXCLUDE"];
    if !starts.iter().any(|s| cursor.is(s)) {
        return Ok(None);
    }
    let mut name = String::new();
    if cursor.accept("CONSTRAINT") && !["PRIMARY", "UNIQUE", "FOREIGN", "CHECK"].iter().any(|w| cursor.is(w)) {
        name = cursor.ident()?;
    }
    let kinds = ["PRIMARY KEY", "UNIQUE KEY", "UNIQUE INDEX", "UNIQUE", "KEY", "INDEX", "FULLTEXT", "SPATIAL", "FOREIGN KEY", "CHECK"];
    let kind = match cursor.accept_one(&kinds) {
        Some(kind) => kind,
        None => return Err(Error::unsupported("this constraint")),
    };
    match kind {
        "CHECK" => {
            warnings.push("CHECK constraints are not enforced".into());
            cursor.expect_token(&Token::LParen)?;
            cursor.skip_parenthesis()?;
            cursor.accept_one(&["NOT ENFORCED", "ENFORCED", "NO INHERIT"]);
            return Ok(Some(None));
        }
        "FOREIGN KEY" => {
            warnings.push("foreign keys are not enforced".into());
            if cursor.peek() != Some(&Token::LParen) {
                cursor.ident()?;
            }
            cursor.parenthesised(Cursor::ident)?;
            references(cursor)?;
            return Ok(Some(None));
        }
        "FULLTEXT" | "SPATIAL" => {
            cursor.accept_one(&["KEY", "INDEX"]);
        }
        _ => {}
    }
    cursor.accept_one(&["NULLS NOT DISTINCT", "NULLS DISTINCT"]);
    if cursor.peek() != Some(&Token::LParen) && !cursor.is("USING") {
        name = cursor.ident()?;
    }
    let primary = kind == "PRIMARY KEY";
    let columns = key_columns(cursor)?;
    let name = if primary { "PRIMARY".to_owned() } else { name };
    Ok(Some(Some(KeyDef { name, columns, unique: primary || kind.starts_with("UNIQUE"), primary })))
}

/// `[USING m] (c [(n)] [ASC | DESC], ..) [options]`.
pub(super) fn key_columns(cursor: &mut Cursor) -> Result<Vec<String>> {
    if cursor.accept("USING") {
        cursor.ident()?;
    }
    let columns = cursor.parenthesised(|c| {
        if c.peek() == Some(&Token::LParen) {
            return Err(Error::unsupported("a key over an expression"));
        }
        let name = c.ident()?;
        if c.accept_token(&Token::LParen) {
            c.skip_parenthesis()?;
        }
        c.accept_one(&["ASC", "DESC"]);
        c.accept_one(&["NULLS FIRST", "NULLS LAST"]);
        Ok(name)
    })?;
    loop {
        match cursor.accept_one(&[
            "USING",
            "COMMENT",
            "KEY_BLOCK_SIZE",
            "WITH PARSER",
            "VISIBLE",
            "INVISIBLE",
            "INCLUDE",
            "DEFERRABLE",
            "NOT DEFERRABLE",
            "INITIALLY DEFERRED",
            "INITIALLY IMMEDIATE",
        ]) {
            Some("USING" | "WITH PARSER") => drop(cursor.ident()?),
            Some("COMMENT") => drop(cursor.string()?),
            Some("KEY_BLOCK_SIZE") => {
                cursor.accept_token(&Token::Eq);
                cursor.number()?;
            }
            Some("INCLUDE") => drop(cursor.parenthesised(Cursor::ident)?),
            Some(_) => {}
            None => return Ok(columns),
        }
    }
}

/// The options behind the parenthesis, to the end or to the query.
fn options(cursor: &mut Cursor, table: &mut CreateTable) -> Result<()> {
    loop {
        cursor.accept_token(&Token::Comma);
        if cursor.is_end()
            || cursor.is("AS")
            || cursor.is("IGNORE")
            || cursor.is("REPLACE")
            || is_query(cursor, 0) && !cursor.is_with_list()
        {
            return Ok(());
        }
        if cursor.peek() == Some(&Token::LParen) {
            return Ok(());
        }
        if cursor.accept("WITH") {
            with_options(cursor, table)?;
        } else if cursor.accept("LOCAL PARTITION BY") || cursor.accept("PARTITION BY") {
            table.warnings.push("PARTITION BY has no effect: a cold table is not partitioned".into());
            skip_partitions(cursor);
        } else if cursor.accept("INHERITS") {
            return Err(Error::unsupported("INHERITS"));
        } else if cursor.accept("ON COMMIT") {
            cursor.accept_one(&["PRESERVE ROWS", "DELETE ROWS", "DROP"]);
        } else if cursor.accept("USING") {
            cursor.ident()?;
        } else {
            option(cursor, table)?;
        }
    }
}

fn option(cursor: &mut Cursor, table: &mut CreateTable) -> Result<()> {
    cursor.accept("DEFAULT");
    let names = [
        "ENGINE",
        "ARCHIVE_MODE",
        "COMMENT",
        "CHARACTER SET",
        "CHARSET",
        "COLLATE",
        "AUTO_INCREMENT",
        "ROW_FORMAT",
        "KEY_BLOCK_SIZE",
        "AVG_ROW_LENGTH",
        "MAX_ROWS",
        "MIN_ROWS",
        "PACK_KEYS",
        "CHECKSUM",
        "DELAY_KEY_WRITE",
        "STATS_PERSISTENT",
        "STATS_AUTO_RECALC",
        "STATS_SAMPLE_PAGES",
        "TABLESPACE",
        "DATA DIRECTORY",
        "INDEX DIRECTORY",
        "COMPRESSION",
        "ENCRYPTION",
        "CONNECTION",
        "INSERT_METHOD",
        "PASSWORD",
        "SECONDARY_ENGINE",
        "STORAGE",
        "BROADCAST",
        "SINGLE",
        "LOCALITY",
    ];
    let Some(name) = cursor.accept_one(&names) else { return Err(cursor.wanted("a table option")) };
    if matches!(name, "BROADCAST" | "SINGLE") {
        return Ok(());
    }
    cursor.accept_token(&Token::Eq);
    let value = match cursor.peek() {
        Some(Token::Number(digits, _)) => {
            cursor.skip(1);
            digits.clone()
        }
        _ => cursor.ident_or_string()?,
    };
    keep(table, name, value);
    Ok(())
}

fn keep(table: &mut CreateTable, name: &str, value: String) {
    match name {
        "ENGINE" => table.engine = Some(value),
        "ARCHIVE_MODE" => table.archive_mode = Some(value.to_ascii_uppercase()),
        "COMMENT" => table.comment = value,
        _ => {}
    }
}

/// PostgreSQL's `WITH (engine = 'OSS', ..)`.
fn with_options(cursor: &mut Cursor, table: &mut CreateTable) -> Result<()> {
    let pairs = cursor.parenthesised(|c| {
        let mut name = c.ident_or_string()?.to_ascii_uppercase();
        while c.accept_token(&Token::Period) {
            name = format!("{name}.{}", c.ident()?);
        }
        let value = if c.accept_token(&Token::Eq) {
            match c.peek() {
                Some(Token::Number(digits, _)) => {
                    c.skip(1);
                    digits.clone()
                }
                _ => c.ident_or_string()?,
            }
        } else {
            "true".into()
        };
        Ok((name, value))
    })?;
    for (name, value) in pairs {
        if !matches!(name.as_str(), "ENGINE" | "ARCHIVE_MODE" | "COMMENT") {
            table.warnings.push(format!("the storage parameter {} has no effect", name.to_lowercase()));
        }
        keep(table, &name, value);
    }
    Ok(())
}

/// Takes a partition clause: all to the end or to the query that fills the table.
fn skip_partitions(cursor: &mut Cursor) {
    let mut depth = 0usize;
    while !cursor.is_end() {
        if depth == 0 && (cursor.is("AS") || cursor.is("SELECT")) {
            return;
        }
        match cursor.next() {
            Some(Token::LParen) => depth += 1,
            Some(Token::RParen) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// The primary key's columns are NOT NULL; there is one primary key; keys name columns that exist.
fn finish_keys(table: &mut CreateTable) -> Result<()> {
    if table.keys.iter().filter(|k| k.primary).count() > 1 {
        return Err(Error::new(Kind::Duplicate, "the table has two primary keys; one is allowed"));
    }
    if table.columns.is_empty() {
        return Ok(());
    }
    for key in &table.keys {
        for name in &key.columns {
            let Some(column) = table.columns.iter_mut().find(|c| same(&c.name, name)) else {
                return Err(Error::new(Kind::UnknownColumn, format!("key column '{name}' does not exist in the table")));
            };
            if key.primary {
                column.nullable = false;
            }
        }
    }
    if !table.keys.is_empty() {
        table.warnings.push("keys are kept as documentation; they are not enforced".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, Name, parse as parse_text};
    use super::*;
    use crate::types::{Default, SqlType};

    fn create(dialect: &Dialect, text: &str) -> CreateTable {
        match parse_text(dialect, text).unwrap().remove(0).statement {
            Statement::CreateTable(create) => *create,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_mysql_table_keeps_what_counts_and_warns_of_what_does_not() {
        let t = create(
            &Dialect::MYSQL,
            "CREATE TABLE IF NOT EXISTS `shop`.`o` (
               id bigint unsigned NOT NULL COMMENT 'no', name varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT 'x' NOT NULL,
               at datetime(3) DEFAULT CURRENT_TIMESTAMP(3), n int DEFAULT -5, `key` int NULL DEFAULT NULL, f tinyint(1) default true,
               PRIMARY KEY (id), UNIQUE KEY `u` (name(10) DESC), KEY (n) USING BTREE, CONSTRAINT fk FOREIGN KEY (n) REFERENCES x (y) ON DELETE CASCADE
             ) ENGINE='OSS' DEFAULT CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC ARCHIVE_MODE = 'ttl' COMMENT='c'
             PARTITION BY RANGE (n) (PARTITION p0 VALUES LESS THAN (10))",
        );
        assert_eq!((t.engine.as_deref(), t.archive_mode.as_deref(), t.comment.as_str()), (Some("OSS"), Some("TTL"), "c"));
        assert_eq!(t.columns.len(), 6);
        assert_eq!(t.columns[1].default, Some(Default::Value("x".into())));
        assert!(!t.columns[1].nullable && t.columns[4].nullable);
        assert_eq!(t.columns[2].default, Some(Default::Now));
        assert_eq!(t.columns[3].default, Some(Default::Value("-5".into())));
        assert_eq!(t.columns[4].name, "key");
        assert_eq!(t.columns[5].default, Some(Default::Value("1".into())));
        assert_eq!(t.keys.len(), 3);
        assert_eq!(t.warnings.len(), 3, "{:?}", t.warnings);
    }

    #[test]
    fn a_postgres_table_names_its_engine_in_with() {
        let t = create(
            &Dialect::POSTGRES,
            "CREATE TABLE o (id int PRIMARY KEY, at timestamptz DEFAULT now() NOT NULL, u uuid DEFAULT gen_random_uuid(), j jsonb DEFAULT '{}'::jsonb) WITH (engine='OSS', fillfactor=70)",
        );
        assert_eq!(t.engine.as_deref(), Some("OSS"));
        assert!(!t.columns[0].nullable);
        assert_eq!(t.columns[1].ty, SqlType::Timestamp { fsp: 6 });
        assert_eq!(t.columns[2].default, Some(Default::Uuid));
        assert_eq!(t.columns[3].default, Some(Default::Value("{}".into())));
    }

    #[test]
    fn a_table_is_made_like_another_or_from_a_query() {
        let t = create(&Dialect::MYSQL, "CREATE TABLE o LIKE h ENGINE='OSS' ARCHIVE_MODE='LOADING'");
        assert_eq!((t.like, t.archive_mode.as_deref()), (Some(Name::bare("h")), Some("LOADING")));
        assert!(create(&Dialect::POSTGRES, "CREATE TABLE o (LIKE h INCLUDING ALL)").like.is_some());
        for text in
            ["CREATE TABLE o AS SELECT * FROM h WHERE a = 1 AS OF TIMESTAMP '2022-07-05'", "CREATE TABLE o ENGINE=OSS SELECT 1 AS a"]
        {
            assert!(create(&Dialect::MYSQL, text).as_query.is_some());
        }
        assert!(create(&Dialect::POSTGRES, "CREATE TABLE o WITH (engine=OSS) AS (SELECT 1 AS a)").as_query.is_some());
        assert!(create(&Dialect::POSTGRES, "CREATE TABLE o AS WITH x AS (SELECT 1) SELECT * FROM x").as_query.is_some());
    }

    #[test]
    fn a_table_of_the_upstream_keeps_what_was_written() {
        let t = create(&Dialect::MYSQL, "CREATE TEMPORARY TABLE IF NOT EXISTS `a b`.c ENGINE=InnoDB COMMENT='x''y' AS SELECT 1 AS a");
        assert!(t.temporary && t.if_not_exists);
        let made = "CREATE TEMPORARY TABLE IF NOT EXISTS `a b`.c (a int) ENGINE=InnoDB COMMENT='x''y'";
        assert_eq!(t.written.with_columns("a int"), made);
        let t = create(&Dialect::POSTGRES, "create table h as select 1 as a");
        assert_eq!(t.written.with_columns("a int"), "create table h (a int)");
    }

    #[test]
    fn what_a_cold_table_cannot_do_is_refused_by_name() {
        for text in ["CREATE TABLE t (a int AUTO_INCREMENT)", "CREATE TABLE t (a int GENERATED ALWAYS AS (1))"] {
            assert_eq!(parse_text(&Dialect::MYSQL, text).unwrap_err().kind(), Kind::Unsupported, "{text}");
        }
        assert_eq!(parse_text(&Dialect::MYSQL, "CREATE TABLE t (a int, A int)").unwrap_err().kind(), Kind::Duplicate);
        assert_eq!(parse_text(&Dialect::MYSQL, "CREATE TABLE t (a int, KEY (b))").unwrap_err().kind(), Kind::UnknownColumn);
    }
}
