//! The file storage statements: CREATE, DROP, CLEAR, ALTER and SHOW FILESTORAGE, SHOW FILES.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::statement::{Mode, Statement, StorageAction, StorageOptions, Topic};
use crate::error::{Error, Kind, Result};

/// The keys that a file storage takes.
const KEYS: [&str; 14] = [
    "ENDPOINT",
    "FILE_URI",
    "FILE_SYSTEM_CONF",
    "ACCESS_KEY_ID",
    "ACCESS_KEY_SECRET",
    "PRIORITY",
    "REGION_ID",
    "AVAILABLE_ZONE_ID",
    "CACHE_POLICY",
    "DELETE_POLICY",
    "STATUS",
    "ENDPOINT_ORDINAL",
    "AZURE_CONNECTION_STRING",
    "AZURE_CONTAINER_NAME",
];

pub(super) fn parse(cursor: &mut Cursor, _outer: bool) -> Result<Option<Statement>> {
    let verb = cursor.accept_one(&[
        "CREATE FILESTORAGE",
        "DROP FILESTORAGE",
        "CLEAR FILESTORAGE",
        "ALTER FILESTORAGE",
        "SHOW FILESTORAGE",
        "SHOW FILES",
        "SHOW FLASHGATE",
    ]);
    Ok(Some(match verb {
        Some("CREATE FILESTORAGE") => create(cursor)?,
        Some("DROP FILESTORAGE") => {
            let if_exists = cursor.if_exists();
            Statement::DropFileStorage { engine: cursor.ident_or_string()?, if_exists }
        }
        Some("CLEAR FILESTORAGE") => {
            let engine = cursor.ident_or_string()?;
            Statement::ClearFileStorage { engine, mode: mode(cursor) }
        }
        Some("ALTER FILESTORAGE") => alter(cursor)?,
        Some("SHOW FILESTORAGE") => Statement::ShowFileStorage,
        Some("SHOW FLASHGATE") => Statement::ShowFlashgate(match cursor.accept_one(&["STATUS", "SESSIONS", "CONFIG", "VERSION"]) {
            Some("STATUS") => Topic::Status,
            Some("SESSIONS") => Topic::Sessions,
            Some("CONFIG") => Topic::Config,
            Some(_) => Topic::Version,
            None => return Err(cursor.wanted("STATUS, SESSIONS, CONFIG or VERSION")),
        }),
        Some(_) => {
            if cursor.accept_one(&["FROM", "IN"]).is_none() {
                return Err(cursor.wanted("FROM"));
            }
            let table = cursor.name()?;
            Statement::ShowFiles { table, as_of: cursor.time_clause()? }
        }
        None => return Ok(None),
    }))
}

fn create(cursor: &mut Cursor) -> Result<Statement> {
    // The words stand before or behind the engine's name.
    let before = cursor.if_not_exists();
    let engine = cursor.ident_or_string()?;
    let if_not_exists = before || cursor.if_not_exists();
    let options = options(cursor)?;
    Ok(Statement::CreateFileStorage { engine, if_not_exists, options })
}

fn alter(cursor: &mut Cursor) -> Result<Statement> {
    let engine = cursor.ident_or_string()?;
    let action = if cursor.accept("BACKUP") {
        StorageAction::Backup
    } else if cursor.accept("PURGE BEFORE") {
        StorageAction::PurgeBefore(cursor.time()?)
    } else if cursor.is("WITH") || cursor.is("SET") {
        cursor.accept("SET");
        StorageAction::Set(options(cursor)?)
    } else if let Some(time) = cursor.time_clause()? {
        StorageAction::AsOf(time)
    } else {
        return Err(cursor.wanted("BACKUP, PURGE BEFORE TIMESTAMP, AS OF TIMESTAMP or WITH (..)"));
    };
    let mode = if matches!(action, StorageAction::Set(_)) { Mode::Do } else { mode(cursor) };
    Ok(Statement::AlterFileStorage { engine, action, mode })
}

/// A trailing PREVIEW or FORCE.
pub(super) fn mode(cursor: &mut Cursor) -> Mode {
    match cursor.accept_one(&["PREVIEW", "FORCE"]) {
        Some("PREVIEW") => Mode::Preview,
        Some(_) => Mode::Force,
        None => Mode::Do,
    }
}

/// `WITH ('KEY' = 'value', ..)`; an unknown key is an error that names the nearest.
fn options(cursor: &mut Cursor) -> Result<StorageOptions> {
    cursor.expect("WITH")?;
    let mut options: Vec<(String, String)> = Vec::new();
    let pairs = cursor.parenthesised(|c| {
        let key = c.ident_or_string()?.to_ascii_uppercase();
        c.expect_token(&Token::Eq)?;
        let value = match c.peek() {
            Some(Token::Number(n, _)) => {
                c.skip(1);
                n.clone()
            }
            _ => c.ident_or_string()?,
        };
        Ok((key, value))
    })?;
    for (key, value) in pairs {
        if !KEYS.contains(&key.as_str()) {
            return Err(unknown_key(&key));
        }
        if options.iter().any(|(known, _)| *known == key) {
            return Err(Error::new(Kind::WrongValue, format!("the file storage option {key} is given twice")));
        }
        options.push((key, value));
    }
    Ok(StorageOptions(options))
}

fn unknown_key(key: &str) -> Error {
    let error = Error::new(Kind::WrongValue, format!("unknown file storage option {key}"));
    match nearest(key, &KEYS) {
        Some(known) => error.with_hint(format!("did you mean {known}?")),
        None => error.with_hint(format!("the options are {}", KEYS.join(", "))),
    }
}

/// The known word that shares the most two-letter pairs with `word`, if that is half of them.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let pairs = |w: &str| w.as_bytes().windows(2).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let own = pairs(word);
    let score = |other: &str| pairs(other).iter().filter(|p| own.contains(p)).count() * 2;
    let best = known.iter().copied().max_by_key(|k| (score(k) * 1000) / (own.len() + k.len()).max(1))?;
    (score(best) * 2 >= own.len() + best.len() - 1).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, parse};
    use super::*;

    fn one(text: &str) -> Statement {
        let mysql = parse(&Dialect::MYSQL, text).unwrap().remove(0).statement;
        let postgres = parse(&Dialect::POSTGRES, text).unwrap().remove(0).statement;
        assert_eq!(mysql, postgres, "{text}");
        mysql
    }

    #[test]
    fn a_storage_is_created_from_the_contract_s_form_in_any_case_and_quotes() {
        for text in [
            "CREATE FILESTORAGE OSS IF NOT EXISTS WITH ('FILE_URI' = 'file:///d/', 'ENDPOINT'='e')",
            "create filestorage if not exists 'OSS' with (file_uri='file:///d/', Endpoint = 'e')",
        ] {
            let Statement::CreateFileStorage { engine, if_not_exists: true, options } = one(text) else { panic!("{text}") };
            assert_eq!(engine, "OSS");
            assert_eq!(options.0, [("FILE_URI".to_owned(), "file:///d/".to_owned()), ("ENDPOINT".into(), "e".into())]);
        }
        let error = parse(&Dialect::MYSQL, "CREATE FILESTORAGE OSS WITH ('FILE_URL'='x')").unwrap_err();
        assert_eq!((error.kind(), error.hint()), (Kind::WrongValue, Some("did you mean FILE_URI?")));
    }

    #[test]
    fn secrets_are_not_in_debug_output() {
        let parsed = parse(&Dialect::MYSQL, "CREATE FILESTORAGE OSS WITH ('ACCESS_KEY_SECRET'='hush', 'FILE_URI'='u')").unwrap();
        let shown = format!("{:?} {:?}", parsed, parsed[0].statement);
        assert!(!shown.contains("hush") && shown.contains("FILE_URI"), "{shown}");
    }

    #[test]
    fn alter_takes_its_actions_with_preview_and_force() {
        for (tail, mode) in [("", Mode::Do), (" PREVIEW", Mode::Preview), (" FORCE", Mode::Force)] {
            for action in ["BACKUP", "PURGE BEFORE TIMESTAMP '2022-07-05 11:11:11'", "AS OF TIMESTAMP now() - INTERVAL '1' DAY"] {
                let Statement::AlterFileStorage { mode: got, .. } = one(&format!("ALTER FILESTORAGE oss {action}{tail}")) else { panic!() };
                assert_eq!(got, mode);
            }
        }
    }

    #[test]
    fn the_purge_guard_s_hint_is_kept() {
        let text = "/*+TDDL:cmd_extra(BACKUP_OSS_PERIOD=0)*/ ALTER FILESTORAGE OSS PURGE BEFORE TIMESTAMP '2022-07-05'";
        assert_eq!(parse(&Dialect::MYSQL, text).unwrap()[0].cmd_extra("backup_oss_period"), Some("0"));
        assert_eq!(parse(&Dialect::POSTGRES, text).unwrap()[0].cmd_extra("OTHER"), None);
    }
}
