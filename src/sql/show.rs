//! SHOW: MySQL's family of listings, PostgreSQL's settings.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::ddl::Name;
use super::statement::{Scope, Show, ShowFilter, ShowKind, Statement};
use crate::error::{Error, Result};

pub(super) fn parse(cursor: &mut Cursor, _outer: bool) -> Result<Option<Statement>> {
    if !cursor.accept("SHOW") {
        return Ok(None);
    }
    let kind = if cursor.dialect.is_mysql() { mysql_kind(cursor)? } else { postgres_kind(cursor)? };
    let filter = filter(cursor)?;
    Ok(Some(Statement::Show(Show { kind, filter })))
}

fn filter(cursor: &mut Cursor) -> Result<Option<ShowFilter>> {
    if cursor.accept("LIKE") {
        Ok(Some(ShowFilter::Like(cursor.string()?)))
    } else if cursor.accept("WHERE") {
        Ok(Some(ShowFilter::Where(Box::new(cursor.expr()?))))
    } else {
        Ok(None)
    }
}

fn postgres_kind(cursor: &mut Cursor) -> Result<ShowKind> {
    if cursor.accept("ALL") {
        return Ok(ShowKind::AllSettings);
    }
    if cursor.accept("TIME ZONE") {
        return Ok(ShowKind::Setting("TimeZone".into()));
    }
    if cursor.accept("TRANSACTION ISOLATION LEVEL") {
        return Ok(ShowKind::Setting("transaction_isolation".into()));
    }
    if cursor.accept("SESSION AUTHORIZATION") {
        return Ok(ShowKind::Setting("session_authorization".into()));
    }
    let mut name = cursor.ident()?;
    while cursor.accept_token(&Token::Period) {
        name = format!("{name}.{}", cursor.ident()?);
    }
    Ok(ShowKind::Setting(name))
}

fn mysql_kind(cursor: &mut Cursor) -> Result<ShowKind> {
    let extended = cursor.accept("EXTENDED");
    let full = cursor.accept("FULL");
    if let Some(kind) = of_tables(cursor, full)? {
        return Ok(kind);
    }
    if extended {
        return Err(cursor.wanted("TABLES or COLUMNS"));
    }
    if cursor.accept("PROCESSLIST") {
        return Ok(ShowKind::Processlist { full });
    }
    if full {
        return Err(cursor.wanted("TABLES, COLUMNS or PROCESSLIST"));
    }
    if let Some(kind) = create(cursor)? {
        return Ok(kind);
    }
    if let Some(kind) = scoped(cursor)? {
        return Ok(kind);
    }
    if cursor.accept("GRANTS") {
        return grants(cursor);
    }
    if cursor.is("COUNT") {
        cursor.skip(1);
        for token in [Token::LParen, Token::Mul, Token::RParen] {
            cursor.expect_token(&token)?;
        }
        return match cursor.accept_one(&["WARNINGS", "ERRORS"]) {
            Some("WARNINGS") => Ok(ShowKind::CountWarnings),
            Some(_) => Ok(ShowKind::CountErrors),
            None => Err(cursor.wanted("WARNINGS or ERRORS")),
        };
    }
    if let Some(which) = cursor.accept_one(&["WARNINGS", "ERRORS"]) {
        let (offset, limit) = limit(cursor)?;
        return Ok(if which == "WARNINGS" { ShowKind::Warnings { offset, limit } } else { ShowKind::Errors { offset, limit } });
    }
    simple(cursor)
}

/// The listings that take no argument but a filter.
fn simple(cursor: &mut Cursor) -> Result<ShowKind> {
    let words = [
        "DATABASES",
        "SCHEMAS",
        "STORAGE ENGINES",
        "ENGINES",
        "COLLATION",
        "CHARACTER SET",
        "CHARSET",
        "PRIVILEGES",
        "PROCEDURE STATUS",
        "FUNCTION STATUS",
        "PLUGINS",
        "MASTER STATUS",
        "BINARY LOG STATUS",
        "BINARY LOGS",
        "MASTER LOGS",
        "REPLICA STATUS",
        "SLAVE STATUS",
        "PROFILES",
    ];
    Ok(match cursor.accept_one(&words) {
        Some("DATABASES" | "SCHEMAS") => ShowKind::Databases,
        Some("STORAGE ENGINES" | "ENGINES") => ShowKind::Engines,
        Some("COLLATION") => ShowKind::Collation,
        Some("CHARACTER SET" | "CHARSET") => ShowKind::Charset,
        Some("PRIVILEGES") => ShowKind::Privileges,
        Some("PROCEDURE STATUS") => ShowKind::ProcedureStatus,
        Some("FUNCTION STATUS") => ShowKind::FunctionStatus,
        Some("PLUGINS") => ShowKind::Plugins,
        Some("MASTER STATUS" | "BINARY LOG STATUS") => ShowKind::MasterStatus,
        Some("BINARY LOGS" | "MASTER LOGS") => ShowKind::BinaryLogs,
        Some("REPLICA STATUS") => ShowKind::ReplicaStatus { old_names: false },
        Some("SLAVE STATUS") => ShowKind::ReplicaStatus { old_names: true },
        Some(_) => ShowKind::Profiles,
        None => return Err(cursor.error()),
    })
}

/// TABLES, COLUMNS, INDEX and the other listings of a database's or table's parts.
fn of_tables(cursor: &mut Cursor, full: bool) -> Result<Option<ShowKind>> {
    let words = ["TABLES", "COLUMNS", "FIELDS", "INDEX", "INDEXES", "KEYS", "TABLE STATUS", "OPEN TABLES", "TRIGGERS", "EVENTS"];
    Ok(Some(match cursor.accept_one(&words) {
        Some("TABLES") => ShowKind::Tables { full, database: of_database(cursor)? },
        Some("COLUMNS" | "FIELDS") => ShowKind::Columns { full, table: of_table(cursor)? },
        Some("INDEX" | "INDEXES" | "KEYS") => ShowKind::Index { table: of_table(cursor)? },
        Some("TABLE STATUS") => ShowKind::TableStatus { database: of_database(cursor)? },
        Some("OPEN TABLES") => ShowKind::OpenTables { database: of_database(cursor)? },
        Some("TRIGGERS") => ShowKind::Triggers { database: of_database(cursor)? },
        Some(_) => ShowKind::Events { database: of_database(cursor)? },
        None => return Ok(None),
    }))
}

fn of_database(cursor: &mut Cursor) -> Result<Option<String>> {
    if cursor.accept_one(&["FROM", "IN"]).is_some() { Ok(Some(cursor.ident()?)) } else { Ok(None) }
}

/// `FROM t [FROM db]`.
fn of_table(cursor: &mut Cursor) -> Result<Name> {
    if cursor.accept_one(&["FROM", "IN"]).is_none() {
        return Err(cursor.wanted("FROM"));
    }
    let table = cursor.name()?;
    match of_database(cursor)? {
        Some(database) => Ok(Name { parts: vec![database, table.name().to_owned()] }),
        None => Ok(table),
    }
}

fn create(cursor: &mut Cursor) -> Result<Option<ShowKind>> {
    Ok(Some(match cursor.accept_one(&["CREATE TABLE", "CREATE VIEW", "CREATE DATABASE", "CREATE SCHEMA", "CREATE"]) {
        Some("CREATE TABLE") => ShowKind::CreateTable(cursor.name()?),
        Some("CREATE VIEW") => ShowKind::CreateView(cursor.name()?),
        Some("CREATE") => return Err(Error::unsupported("SHOW CREATE of anything but tables, views and databases")),
        Some(_) => {
            let if_not_exists = cursor.if_not_exists();
            ShowKind::CreateDatabase { name: cursor.ident()?, if_not_exists }
        }
        None => return Ok(None),
    }))
}

fn scoped(cursor: &mut Cursor) -> Result<Option<ShowKind>> {
    let scope = match cursor.accept_one(&["GLOBAL", "SESSION", "LOCAL"]) {
        Some("GLOBAL") => Some(Scope::Global),
        Some(_) => Some(Scope::Session),
        None => None,
    };
    match cursor.accept_one(&["VARIABLES", "STATUS"]) {
        Some("VARIABLES") => Ok(Some(ShowKind::Variables(scope))),
        Some(_) => Ok(Some(ShowKind::Status(scope))),
        None if scope.is_some() => Err(cursor.wanted("VARIABLES or STATUS")),
        None => Ok(None),
    }
}

/// `GRANTS [FOR user[@host]]`.
fn grants(cursor: &mut Cursor) -> Result<ShowKind> {
    if !cursor.accept("FOR") {
        return Ok(ShowKind::Grants(None));
    }
    let user = cursor.ident_or_string()?;
    if user.eq_ignore_ascii_case("current_user") {
        if cursor.accept_token(&Token::LParen) {
            cursor.expect_token(&Token::RParen)?;
        }
        return Ok(ShowKind::Grants(None));
    }
    // 'user'@'host': the host says nothing here.
    if !cursor.is_end() {
        cursor.user_variable()?;
    }
    Ok(ShowKind::Grants(Some(user)))
}

/// `[LIMIT [offset,] count]`.
fn limit(cursor: &mut Cursor) -> Result<(u64, Option<u64>)> {
    if !cursor.accept("LIMIT") {
        return Ok((0, None));
    }
    let first = cursor.number()?;
    if cursor.accept_token(&Token::Comma) {
        return Ok((first, Some(cursor.number()?)));
    }
    if cursor.accept("OFFSET") {
        return Ok((cursor.number()?, Some(first)));
    }
    Ok((0, Some(first)))
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, parse};
    use super::*;

    fn kind(text: &str) -> ShowKind {
        match parse(&Dialect::MYSQL, text).unwrap().remove(0).statement {
            Statement::Show(show) => show.kind,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn what_mysql_clients_ask_by_themselves_is_read() {
        assert_eq!(kind("SHOW FULL TABLES FROM `shop` LIKE 'o%'"), ShowKind::Tables { full: true, database: Some("shop".into()) });
        let table = Name { parts: vec!["d".into(), "t".into()] };
        assert_eq!(kind("SHOW FULL COLUMNS FROM t FROM d"), ShowKind::Columns { full: true, table: table.clone() });
        assert_eq!(kind("SHOW KEYS IN d.t WHERE Key_name = 'PRIMARY'"), ShowKind::Index { table });
        assert_eq!(kind("SHOW SESSION VARIABLES LIKE 'sql_mode'"), ShowKind::Variables(Some(Scope::Session)));
        assert_eq!(kind("show warnings limit 5, 10"), ShowKind::Warnings { offset: 5, limit: Some(10) });
        assert_eq!(kind("SHOW COUNT(*) WARNINGS"), ShowKind::CountWarnings);
        assert_eq!(kind("SHOW CREATE TABLE t"), ShowKind::CreateTable(Name::bare("t")));
        assert_eq!(kind("SHOW GRANTS FOR 'root'@'%'"), ShowKind::Grants(Some("root".into())));
        assert_eq!(kind("SHOW COLLATION WHERE Charset = 'utf8mb4'"), ShowKind::Collation);
        for text in
            ["SHOW ENGINES", "SHOW STATUS", "SHOW PLUGINS", "SHOW TABLE STATUS", "SHOW PROCESSLIST", "SHOW MASTER STATUS", "SHOW TRIGGERS"]
        {
            kind(text);
        }
        assert!(parse(&Dialect::MYSQL, "SHOW NOTHING").is_err());
        assert!(parse(&Dialect::MYSQL, "SHOW TABLES nonsense").is_err());
    }

    #[test]
    fn postgres_shows_settings() {
        for (text, want) in [
            ("SHOW server_version", ShowKind::Setting("server_version".into())),
            ("SHOW TIME ZONE", ShowKind::Setting("TimeZone".into())),
            ("SHOW ALL", ShowKind::AllSettings),
            ("SHOW transaction isolation level", ShowKind::Setting("transaction_isolation".into())),
        ] {
            let Statement::Show(show) = parse(&Dialect::POSTGRES, text).unwrap().remove(0).statement else { panic!() };
            assert_eq!(show.kind, want);
        }
    }
}
