//! Rights over cold tables and file storages: GRANT, REVOKE, SHOW COLD GRANTS.
//!
//! Only what says `ON COLD TABLE`, or gives a privilege of a file storage, is read here: any other GRANT is the
//! database's own.

use datafusion::sql::sqlparser::tokenizer::{Token, Word};

use super::cursor::Cursor;
use super::ddl::Name;
use super::grant::{Grant, GrantScope, Granted, Grantee, StoragePrivilege, TablePrivilege};
use super::printer::{Printer, list, opt};
use super::statement::Statement;
use crate::error::Result;

pub(super) fn parse(cursor: &mut Cursor, _outer: bool) -> Result<Option<Statement>> {
    if cursor.accept("SHOW COLD GRANTS") {
        let user = if cursor.accept("FOR") { Some(grantee(cursor)?) } else { None };
        return Ok(Some(Statement::ShowColdGrants(user)));
    }
    if !is_ours(cursor) {
        return Ok(None);
    }
    let revoke = cursor.accept_one(&["GRANT", "REVOKE"]) == Some("REVOKE");
    let what = if is_storage_privilege(cursor, 0) {
        let privileges = cursor.list(storage_privilege)?;
        cursor.expect("ON FILESTORAGE")?;
        Granted::Storages(privileges)
    } else {
        let privileges = table_privileges(cursor)?;
        cursor.expect("ON COLD TABLE")?;
        Granted::Tables { privileges, scope: scope(cursor)? }
    };
    cursor.expect(if revoke { "FROM" } else { "TO" })?;
    let users = cursor.list(grantee)?;
    Ok(Some(Statement::Grant(Grant { revoke, what, users })))
}

/// A table of the database may be called `cold` or `filestorage`: the words around tell.
fn is_ours(cursor: &Cursor) -> bool {
    if !cursor.is("GRANT") && !cursor.is("REVOKE") {
        return false;
    }
    let storage = is_storage_privilege(cursor, 1);
    (1..cursor.rest().len()).any(|n| {
        cursor.is_word_at(n, "ON")
            && ((cursor.is_word_at(n + 1, "COLD") && cursor.is_word_at(n + 2, "TABLE"))
                || (storage && cursor.is_word_at(n + 1, "FILESTORAGE")))
    })
}

fn is_storage_privilege(cursor: &Cursor, n: usize) -> bool {
    StoragePrivilege::ALL.iter().any(|privilege| cursor.is_word_at(n, privilege.word()))
}

fn storage_privilege(cursor: &mut Cursor) -> Result<StoragePrivilege> {
    let word = cursor.accept_one(&StoragePrivilege::ALL.map(StoragePrivilege::word));
    word.and_then(StoragePrivilege::of_word).ok_or_else(|| cursor.wanted("BACKUP, RESTORE or ADMIN"))
}

fn table_privileges(cursor: &mut Cursor) -> Result<Vec<TablePrivilege>> {
    if cursor.accept_one(&["ALL PRIVILEGES", "ALL"]).is_some() {
        return Ok(TablePrivilege::ALL.to_vec());
    }
    cursor.list(|c| {
        let word = c.accept_one(&TablePrivilege::ALL.map(TablePrivilege::word));
        word.and_then(TablePrivilege::of_word)
            .ok_or_else(|| c.wanted("SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP or ALL PRIVILEGES"))
    })
}

fn scope(cursor: &mut Cursor) -> Result<GrantScope> {
    if cursor.accept_token(&Token::Mul) {
        cursor.expect_token(&Token::Period)?;
        cursor.expect_token(&Token::Mul)?;
        return Ok(GrantScope::All);
    }
    let mut parts = vec![cursor.ident()?];
    while parts.len() < 3 && cursor.accept_token(&Token::Period) {
        if cursor.accept_token(&Token::Mul) {
            return Ok(GrantScope::Database(parts));
        }
        parts.push(cursor.ident()?);
    }
    Ok(GrantScope::Table(Name { parts }))
}

fn grantee(cursor: &mut Cursor) -> Result<Grantee> {
    if cursor.accept("PUBLIC") {
        return Ok(Grantee::Public);
    }
    if !cursor.dialect.is_mysql() {
        let bare = matches!(cursor.peek(), Some(Token::Word(Word { quote_style: None, .. })));
        let name = cursor.ident()?;
        return Ok(Grantee::User { name: if bare { name.to_lowercase() } else { name }, host: None });
    }
    // To the tokenizer `ann@localhost` is one word, and `ann@'%'` a word and a string.
    if let Some(Token::Word(Word { value, quote_style: None, .. })) = cursor.peek()
        && let Some((name, host)) = value.split_once('@').filter(|(name, _)| !name.is_empty())
    {
        cursor.skip(1);
        let host = if host.is_empty() { cursor.ident_or_string()? } else { host.to_owned() };
        return Ok(Grantee::User { name: name.to_owned(), host: Some(host) });
    }
    let name = cursor.ident_or_string()?;
    Ok(Grantee::User { name, host: cursor.user_variable().ok() })
}

impl Printer<'_> {
    /// GRANT, REVOKE, SHOW COLD GRANTS; None for any other statement.
    pub(super) fn rights(&self, statement: &Statement) -> Option<String> {
        Some(match statement {
            Statement::Grant(grant) => self.grant(grant),
            Statement::ShowColdGrants(user) => format!("SHOW COLD GRANTS{}", opt(user, |user| format!(" FOR {}", self.grantee(user)))),
            _ => return None,
        })
    }

    fn grant(&self, grant: &Grant) -> String {
        let (verb, to) = if grant.revoke { ("REVOKE", "FROM") } else { ("GRANT", "TO") };
        let what = match &grant.what {
            Granted::Storages(privileges) => format!("{} ON FILESTORAGE", list(privileges, |p| p.word().to_owned())),
            Granted::Tables { privileges, scope } => {
                let privileges = if privileges.as_slice() == TablePrivilege::ALL {
                    "ALL PRIVILEGES".to_owned()
                } else {
                    list(privileges, |p| p.word().to_owned())
                };
                format!("{privileges} ON COLD TABLE {}", self.scope(scope))
            }
        };
        format!("{verb} {what} {to} {}", list(&grant.users, |user| self.grantee(user)))
    }

    fn scope(&self, scope: &GrantScope) -> String {
        match scope {
            GrantScope::All => "*.*".to_owned(),
            GrantScope::Database(parts) => format!("{}.*", parts.iter().map(|part| self.ident(part)).collect::<Vec<_>>().join(".")),
            GrantScope::Table(name) => self.name(name),
        }
    }

    /// In quotes, so that case and PUBLIC stay what they are.
    pub fn grantee(&self, grantee: &Grantee) -> String {
        match grantee {
            Grantee::Public => "PUBLIC".to_owned(),
            Grantee::User { name, host } if self.dialect.is_mysql() => {
                format!("{}{}", self.string(name), opt(host, |host| format!("@{}", self.string(host))))
            }
            Grantee::User { name, .. } => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, parse, printer};
    use super::*;

    fn one(dialect: &Dialect, text: &str) -> Statement {
        let statement = parse(dialect, text).unwrap_or_else(|e| panic!("{text}: {e}")).remove(0).statement;
        let printed = printer::print(dialect, &statement);
        assert_eq!(parse(dialect, &printed).unwrap()[0].statement, statement, "{text}\n{printed}");
        statement
    }

    fn grant(dialect: &Dialect, text: &str) -> Grant {
        match one(dialect, text) {
            Statement::Grant(grant) => grant,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn user(name: &str, host: Option<&str>) -> Grantee {
        Grantee::User { name: name.into(), host: host.map(str::to_owned) }
    }

    #[test]
    fn accounts_and_roles_are_read_as_their_databases_write_them() {
        for (text, want) in [
            ("ann", user("ann", None)),
            ("'ann'", user("ann", None)),
            ("ann@localhost", user("ann", Some("localhost"))),
            ("ann@'10.0.0.%'", user("ann", Some("10.0.0.%"))),
            ("'a@b'@'%'", user("a@b", Some("%"))),
            ("`PUBLIC`", user("PUBLIC", None)),
            ("public", Grantee::Public),
        ] {
            let grant = grant(&Dialect::MYSQL, &format!("GRANT SELECT ON COLD TABLE d.t TO {text}"));
            assert_eq!(grant.users, [want], "{text}");
        }
        for (text, want) in [("Ann", user("ann", None)), ("\"Ann\"", user("Ann", None)), ("Public", Grantee::Public)] {
            assert_eq!(grant(&Dialect::POSTGRES, &format!("REVOKE ALL ON COLD TABLE t FROM {text}")).users, [want], "{text}");
        }
    }

    #[test]
    fn privileges_and_scopes_of_both_languages() {
        for dialect in [Dialect::MYSQL, Dialect::POSTGRES] {
            let all = Granted::Tables { privileges: TablePrivilege::ALL.to_vec(), scope: GrantScope::All };
            assert_eq!(grant(&dialect, "grant all on cold table *.* to ann, public").what, all);
            let scope = GrantScope::Database(vec!["d".into()]);
            let some = Granted::Tables { privileges: vec![TablePrivilege::Select, TablePrivilege::Drop], scope };
            assert_eq!(grant(&dialect, "GRANT SELECT, DROP ON COLD TABLE d.* TO ann").what, some);
            let storages = Granted::Storages(vec![StoragePrivilege::Backup, StoragePrivilege::Admin]);
            let revoked = grant(&dialect, "REVOKE BACKUP, ADMIN ON FILESTORAGE FROM ann");
            assert_eq!((revoked.revoke, revoked.what), (true, storages));
            assert_eq!(one(&dialect, "SHOW COLD GRANTS"), Statement::ShowColdGrants(None));
            assert_eq!(one(&dialect, "SHOW COLD GRANTS FOR ann"), Statement::ShowColdGrants(Some(user("ann", None))));
            for wrong in
                ["GRANT FILE ON COLD TABLE t TO ann", "GRANT SELECT ON COLD TABLE t FROM ann", "GRANT BACKUP ON COLD TABLE t TO ann"]
            {
                assert_eq!(parse(&dialect, wrong).unwrap_err().kind(), crate::Kind::Syntax, "{wrong}");
            }
        }
    }

    #[test]
    fn grants_of_the_database_itself_are_not_read_here() {
        for dialect in [Dialect::MYSQL, Dialect::POSTGRES] {
            for text in [
                "GRANT SELECT ON t TO ann",
                "GRANT SELECT ON cold TO ann",
                "GRANT SELECT ON filestorage TO ann",
                "GRANT admin TO ann",
                "REVOKE SELECT ON TABLE cold FROM ann",
            ] {
                assert_eq!(parse(&dialect, text).unwrap_err().kind(), crate::Kind::Unsupported, "{text}");
            }
        }
    }
}
