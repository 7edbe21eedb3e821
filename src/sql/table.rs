//! Tables that exist: ALTER, DROP, RENAME, TRUNCATE, indexes, comments.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::column::{self, column};
use super::create_table::{self, key_columns};
use super::cursor::Cursor;
use super::ddl::{AddedFile, AlterAction, AlterTable, ColumnPosition, KeyDef, Name};
use super::statement::Statement;
use super::{data_type, file_storage};
use crate::error::{Error, Kind, Result};

pub(super) fn parse(cursor: &mut Cursor, _outer: bool) -> Result<Option<Statement>> {
    let verb = cursor.accept_one(&[
        "ALTER TABLE",
        "DROP TABLE",
        "DROP TABLES",
        "DROP TEMPORARY TABLE",
        "TRUNCATE TABLE",
        "TRUNCATE",
        "RENAME TABLES",
        "RENAME TABLE",
        "CREATE UNIQUE INDEX",
        "CREATE INDEX",
        "CREATE FULLTEXT INDEX",
        "DROP INDEX",
        "COMMENT ON",
        "UNARCHIVE",
    ]);
    Ok(Some(match verb {
        Some("ALTER TABLE") => alter(cursor)?,
        Some("DROP TABLE" | "DROP TABLES") => {
            let if_exists = cursor.if_exists();
            let names = cursor.list(Cursor::name)?;
            cursor.accept_one(&["CASCADE", "RESTRICT"]);
            Statement::DropTable { names, if_exists }
        }
        Some("DROP TEMPORARY TABLE") => return Err(Error::unsupported("a temporary table")),
        Some("TRUNCATE" | "TRUNCATE TABLE") => {
            cursor.accept("ONLY");
            let names = cursor.list(Cursor::name)?;
            cursor.accept_one(&["RESTART IDENTITY", "CONTINUE IDENTITY"]);
            cursor.accept_one(&["CASCADE", "RESTRICT"]);
            Statement::Truncate { names }
        }
        Some("RENAME TABLE" | "RENAME TABLES") => {
            let pairs = cursor.list(|c| {
                let from = c.name()?;
                c.expect("TO")?;
                Ok((from, c.name()?))
            })?;
            Statement::RenameTable { pairs }
        }
        Some("DROP INDEX") => {
            cursor.accept("CONCURRENTLY");
            let if_exists = cursor.if_exists();
            let name = cursor.name()?;
            let table = if cursor.accept("ON") { Some(cursor.name()?) } else { None };
            cursor.accept_one(&["CASCADE", "RESTRICT"]);
            Statement::DropIndex { name, table, if_exists }
        }
        Some("COMMENT ON") => comment(cursor)?,
        Some("UNARCHIVE") => return Err(Error::unsupported("UNARCHIVE")),
        Some(create) => create_index(cursor, create == "CREATE UNIQUE INDEX")?,
        None => return Ok(None),
    }))
}

fn create_index(cursor: &mut Cursor, unique: bool) -> Result<Statement> {
    cursor.accept("CONCURRENTLY");
    let if_not_exists = cursor.if_not_exists();
    let name = if cursor.is("ON") { String::new() } else { cursor.ident()? };
    if cursor.accept("USING") {
        cursor.ident()?;
    }
    cursor.expect("ON")?;
    cursor.accept("ONLY");
    let table = cursor.name()?;
    let columns = key_columns(cursor)?;
    if cursor.is("WHERE") {
        return Err(Error::unsupported("a partial index"));
    }
    Ok(Statement::CreateIndex { table, key: KeyDef { name, columns, unique, primary: false }, if_not_exists })
}

/// `COMMENT ON {TABLE t | COLUMN t.c} IS 'x' | NULL`.
fn comment(cursor: &mut Cursor) -> Result<Statement> {
    let is_column = match cursor.accept_one(&["TABLE", "VIEW", "COLUMN"]) {
        Some("COLUMN") => true,
        Some(_) => false,
        None => return Err(Error::unsupported("COMMENT ON anything but tables and columns")),
    };
    let mut parts = vec![cursor.ident()?];
    while cursor.accept_token(&Token::Period) {
        parts.push(cursor.ident()?);
    }
    let column = if is_column { parts.pop() } else { None };
    if parts.is_empty() || parts.len() > 3 {
        return Err(cursor.error());
    }
    cursor.expect("IS")?;
    let text = if cursor.accept("NULL") { None } else { Some(cursor.string()?) };
    Ok(Statement::Comment { table: Name { parts }, column, text })
}

fn alter(cursor: &mut Cursor) -> Result<Statement> {
    let if_exists = cursor.if_exists();
    cursor.accept("ONLY");
    let name = cursor.name()?;
    if cursor.accept("PURGE BEFORE") {
        let time = cursor.time()?;
        let mode = file_storage::mode(cursor);
        return Ok(Statement::AlterTable(AlterTable { name, if_exists, actions: vec![AlterAction::PurgeBefore { time, mode }] }));
    }
    if cursor.is("EXPIRE") {
        return Err(Error::unsupported("EXPIRE LOCAL PARTITION"));
    }
    let mut actions = Vec::new();
    loop {
        action(cursor, &mut actions)?;
        if !cursor.accept_token(&Token::Comma) {
            break;
        }
    }
    Ok(Statement::AlterTable(AlterTable { name, if_exists, actions }))
}

fn action(cursor: &mut Cursor, actions: &mut Vec<AlterAction>) -> Result<()> {
    let verbs = [
        "ADD",
        "DROP",
        "RENAME",
        "MODIFY",
        "CHANGE",
        "ALTER",
        "COMMENT",
        "ENGINE",
        "ALGORITHM",
        "LOCK",
        "OWNER TO",
        "CONVERT TO",
        "DEFAULT",
    ];
    let verb = cursor.accept_one(&verbs);
    let action = match verb {
        Some("ADD") => return add(cursor, actions),
        Some("DROP") => drop_part(cursor)?,
        Some("RENAME") => rename(cursor)?,
        Some("MODIFY") => {
            cursor.accept("COLUMN");
            let (column, keys) = column(cursor, &mut Vec::new())?;
            actions.extend(keys.into_iter().map(AlterAction::AddKey));
            AlterAction::ModifyColumn { from: column.name.clone(), column, position: position(cursor)? }
        }
        Some("CHANGE") => {
            cursor.accept("COLUMN");
            let from = cursor.ident()?;
            let (column, keys) = column(cursor, &mut Vec::new())?;
            actions.extend(keys.into_iter().map(AlterAction::AddKey));
            AlterAction::ModifyColumn { from, column, position: position(cursor)? }
        }
        Some("ALTER") => alter_column(cursor)?,
        Some("COMMENT") => {
            cursor.accept_token(&Token::Eq);
            AlterAction::Comment(cursor.string()?)
        }
        Some("ENGINE") => {
            cursor.accept_token(&Token::Eq);
            AlterAction::Engine(cursor.ident_or_string()?)
        }
        // How, not what: nothing to do.
        Some("ALGORITHM" | "LOCK") => {
            cursor.accept_token(&Token::Eq);
            cursor.ident()?;
            return Ok(());
        }
        Some(other) => return Err(Error::unsupported(format!("ALTER TABLE .. {other}"))),
        None => return Err(cursor.wanted("an action of ALTER TABLE")),
    };
    actions.push(action);
    Ok(())
}

fn add(cursor: &mut Cursor, actions: &mut Vec<AlterAction>) -> Result<()> {
    if cursor.is("FILE") && matches!(cursor.peek_at(1), Some(Token::SingleQuotedString(_))) {
        cursor.skip(1);
        actions.push(AlterAction::AddFile(added_files(cursor)?));
        return Ok(());
    }
    if cursor.is("PARTITION") {
        return Err(Error::unsupported("ADD PARTITION"));
    }
    if let Some(key) = create_table::table_key(cursor, &mut Vec::new())? {
        match key {
            Some(key) => actions.push(AlterAction::AddKey(key)),
            None => return Err(Error::unsupported("adding a constraint that is not enforced")),
        }
        return Ok(());
    }
    cursor.accept("COLUMN");
    let if_not_exists = cursor.if_not_exists();
    if cursor.accept_token(&Token::LParen) {
        loop {
            let (column, keys) = column(cursor, &mut Vec::new())?;
            actions.push(AlterAction::AddColumn { column, if_not_exists, position: None });
            actions.extend(keys.into_iter().map(AlterAction::AddKey));
            if !cursor.accept_token(&Token::Comma) {
                break;
            }
        }
        return cursor.expect_token(&Token::RParen);
    }
    let (column, keys) = column(cursor, &mut Vec::new())?;
    let position = position(cursor)?;
    actions.push(AlterAction::AddColumn { column, if_not_exists, position });
    actions.extend(keys.into_iter().map(AlterAction::AddKey));
    Ok(())
}

/// `'f', 'g'`: also behind further commas, as long as strings follow.
fn files(cursor: &mut Cursor) -> Result<Vec<String>> {
    let mut files = vec![cursor.string()?];
    while cursor.peek() == Some(&Token::Comma) && matches!(cursor.peek_at(1), Some(Token::SingleQuotedString(_))) {
        cursor.skip(1);
        files.push(cursor.string()?);
    }
    Ok(files)
}

/// `'uri' (a, b), 'uri'`.
fn added_files(cursor: &mut Cursor) -> Result<Vec<AddedFile>> {
    let mut files = Vec::new();
    loop {
        let uri = cursor.string()?;
        let mut columns = Vec::new();
        if cursor.accept_token(&Token::LParen) {
            loop {
                columns.push(cursor.ident()?);
                if !cursor.accept_token(&Token::Comma) {
                    break;
                }
            }
            cursor.expect_token(&Token::RParen)?;
        }
        files.push(AddedFile { uri, columns });
        if cursor.peek() != Some(&Token::Comma) || !matches!(cursor.peek_at(1), Some(Token::SingleQuotedString(_))) {
            return Ok(files);
        }
        cursor.skip(1);
    }
}

fn drop_part(cursor: &mut Cursor) -> Result<AlterAction> {
    if cursor.is("FILE") && matches!(cursor.peek_at(1), Some(Token::SingleQuotedString(_))) {
        cursor.skip(1);
        return Ok(AlterAction::DropFile(files(cursor)?));
    }
    if cursor.accept("PRIMARY KEY") {
        return Ok(AlterAction::DropKey("PRIMARY".into()));
    }
    if let Some(word) = cursor.accept_one(&["INDEX", "KEY", "CONSTRAINT", "PARTITION", "FOREIGN KEY", "CHECK"]) {
        if matches!(word, "PARTITION" | "FOREIGN KEY" | "CHECK") {
            return Err(Error::unsupported(format!("DROP {word}")));
        }
        cursor.if_exists();
        let name = cursor.ident()?;
        cursor.accept_one(&["CASCADE", "RESTRICT"]);
        return Ok(AlterAction::DropKey(name));
    }
    cursor.accept("COLUMN");
    let if_exists = cursor.if_exists();
    let name = cursor.ident()?;
    cursor.accept_one(&["CASCADE", "RESTRICT"]);
    Ok(AlterAction::DropColumn { name, if_exists })
}

fn rename(cursor: &mut Cursor) -> Result<AlterAction> {
    if cursor.accept_one(&["INDEX", "KEY", "CONSTRAINT"]).is_some() {
        return Err(Error::unsupported("RENAME INDEX"));
    }
    if cursor.accept_one(&["TO", "AS"]).is_some() {
        return Ok(AlterAction::Rename(cursor.name()?));
    }
    // RENAME [COLUMN] a TO b, or MySQL's RENAME b.
    let column = cursor.accept("COLUMN");
    let first = cursor.name()?;
    if cursor.accept("TO") {
        if first.parts.len() > 1 {
            return Err(cursor.error());
        }
        return Ok(AlterAction::RenameColumn { from: first.name().to_owned(), to: cursor.ident()? });
    }
    if column { Err(cursor.wanted("TO")) } else { Ok(AlterAction::Rename(first)) }
}

fn alter_column(cursor: &mut Cursor) -> Result<AlterAction> {
    if cursor.accept_one(&["INDEX", "CONSTRAINT", "CHECK"]).is_some() {
        return Err(Error::unsupported("ALTER TABLE .. ALTER INDEX or CONSTRAINT"));
    }
    cursor.accept("COLUMN");
    let name = cursor.ident()?;
    let what = cursor.accept_one(&["SET DEFAULT", "DROP DEFAULT", "SET NOT NULL", "DROP NOT NULL", "SET DATA TYPE", "TYPE"]);
    Ok(match what {
        Some("SET DEFAULT") => AlterAction::SetDefault { name, default: column::default(cursor)? },
        Some("DROP DEFAULT") => AlterAction::SetDefault { name, default: None },
        Some("SET NOT NULL") => AlterAction::SetNullable { name, nullable: false },
        Some("DROP NOT NULL") => AlterAction::SetNullable { name, nullable: true },
        Some(_) => {
            let ty = data_type::parse(cursor)?;
            if cursor.accept("COLLATE") {
                cursor.name()?;
            }
            if cursor.is("USING") {
                return Err(Error::unsupported("ALTER COLUMN .. TYPE .. USING"));
            }
            AlterAction::SetType { name, ty }
        }
        None => return Err(Error::new(Kind::Syntax, cursor.error().message()).with_hint("expected SET, DROP or TYPE")),
    })
}

fn position(cursor: &mut Cursor) -> Result<Option<ColumnPosition>> {
    if cursor.accept("FIRST") {
        return Ok(Some(ColumnPosition::First));
    }
    if cursor.accept("AFTER") {
        return Ok(Some(ColumnPosition::After(cursor.ident()?)));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, parse as parse_text};
    use super::*;

    fn actions(dialect: &Dialect, text: &str) -> Vec<AlterAction> {
        match parse_text(dialect, text).unwrap().remove(0).statement {
            Statement::AlterTable(alter) => alter.actions,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn our_own_actions_are_read_in_both_languages() {
        for dialect in [Dialect::MYSQL, Dialect::POSTGRES] {
            assert_eq!(actions(&dialect, "ALTER TABLE t DROP FILE 'f', 'g'"), [AlterAction::DropFile(vec!["f".into(), "g".into()])]);
            let added =
                |uri: &str, columns: &[&str]| AddedFile { uri: uri.into(), columns: columns.iter().map(|c| c.to_string()).collect() };
            assert_eq!(
                actions(&dialect, "ALTER TABLE t ADD FILE 'file:///x.orc'"),
                [AlterAction::AddFile(vec![added("file:///x.orc", &[])])]
            );
            assert_eq!(
                actions(&dialect, "ALTER TABLE t ADD FILE 's3://b/d/*.orc' (a, b), 'c.orc', 'd/' (c), DROP d"),
                [
                    AlterAction::AddFile(vec![added("s3://b/d/*.orc", &["a", "b"]), added("c.orc", &[]), added("d/", &["c"])]),
                    AlterAction::DropColumn { name: "d".into(), if_exists: false }
                ]
            );
            for wrong in ["'x' ()", "'x' (a,)", "'x' (a", "'x' ('a')", "'x' (a.b)", "x", "'x',"] {
                assert!(parse_text(&dialect, &format!("ALTER TABLE t ADD FILE {wrong}")).is_err(), "{wrong}");
            }
            let purge = actions(&dialect, "ALTER TABLE d.t PURGE BEFORE TIMESTAMP '2022-07-05' PREVIEW");
            assert!(matches!(&purge[0], AlterAction::PurgeBefore { mode: super::super::Mode::Preview, .. }));
        }
    }

    #[test]
    fn columns_are_altered_as_each_language_says_it() {
        let a = actions(
            &Dialect::MYSQL,
            "ALTER TABLE t ADD COLUMN a int NOT NULL DEFAULT 1 AFTER b, DROP c, CHANGE d e bigint, MODIFY f text FIRST, RENAME COLUMN g TO h, ADD KEY k (a), RENAME TO u",
        );
        assert_eq!(a.len(), 7);
        assert!(matches!(&a[0], AlterAction::AddColumn { position: Some(ColumnPosition::After(b)), .. } if b == "b"));
        assert!(matches!(&a[2], AlterAction::ModifyColumn { from, column, .. } if from == "d" && column.name == "e"));
        let a = actions(
            &Dialect::POSTGRES,
            "ALTER TABLE t ALTER COLUMN a TYPE bigint, ALTER b SET NOT NULL, ALTER c DROP DEFAULT, ADD COLUMN IF NOT EXISTS d text, RENAME e TO f",
        );
        assert_eq!(a.len(), 5);
    }
}
