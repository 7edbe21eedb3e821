//! Printing of the statements that Flashgate adds, of transactions and of SHOW.

use super::printer::{Printer, flag, list, opt};
use super::statement::*;

impl Printer<'_> {
    /// Transactions; None for any other statement.
    pub(super) fn transaction(&self, statement: &Statement) -> Option<String> {
        let end = |word: &str, chain: bool, release: bool| format!("{word}{}{}", flag(chain, " AND CHAIN"), flag(release, " RELEASE"));
        Some(match statement {
            Statement::Begin(begin) => {
                let mut parts = modes(&begin.modes);
                parts.extend(begin.snapshot.then(|| "WITH CONSISTENT SNAPSHOT".to_owned()));
                let clause = opt(&begin.as_of, |c| format!(" {}", self.clause(c)));
                format!("{}{clause}", format!("START TRANSACTION {}", parts.join(", ")).trim_end())
            }
            Statement::Commit { chain, release } => end("COMMIT", *chain, *release),
            Statement::Rollback { chain, release } => end("ROLLBACK", *chain, *release),
            Statement::Savepoint(name) => format!("SAVEPOINT {}", self.ident(name)),
            Statement::RollbackTo(name) => format!("ROLLBACK TO SAVEPOINT {}", self.ident(name)),
            Statement::Release(name) => format!("RELEASE SAVEPOINT {}", self.ident(name)),
            Statement::SetTransaction { scope, modes: m } => {
                let scope = match scope {
                    Some(Scope::Global | Scope::Persist) => "GLOBAL ",
                    Some(Scope::Local) => "LOCAL ",
                    Some(Scope::Session) => "SESSION ",
                    None => "",
                };
                format!("SET {scope}TRANSACTION {}", modes(m).join(", "))
            }
            _ => return None,
        })
    }

    /// File storages and the recycle bin; None for any other statement.
    pub(super) fn storage(&self, statement: &Statement) -> Option<String> {
        Some(match statement {
            Statement::ShowRecycleBin => "SHOW RECYCLEBIN".into(),
            Statement::FlashbackTable { name, rename_to } => {
                format!("FLASHBACK TABLE {} TO BEFORE DROP{}", self.name(name), opt(rename_to, |n| format!(" RENAME TO {}", self.ident(n))))
            }
            Statement::PurgeTable { name } => format!("PURGE TABLE {}", self.name(name)),
            Statement::PurgeRecycleBin => "PURGE RECYCLEBIN".into(),
            Statement::CreateFileStorage { engine, if_not_exists, options } => {
                format!("CREATE FILESTORAGE {} {}{}", self.string(engine), flag(*if_not_exists, "IF NOT EXISTS "), self.options(options))
            }
            Statement::DropFileStorage { engine, if_exists } => {
                format!("DROP FILESTORAGE {}{}", flag(*if_exists, "IF EXISTS "), self.string(engine))
            }
            Statement::ClearFileStorage { engine, mode } => format!("CLEAR FILESTORAGE {}{}", self.string(engine), mode_word(*mode)),
            Statement::AlterFileStorage { engine, action, mode } => {
                let action = match action {
                    StorageAction::Backup => "BACKUP".to_owned(),
                    StorageAction::PurgeBefore(time) => format!("PURGE BEFORE {}", self.time(time)),
                    StorageAction::AsOf(time) => self.clause(time),
                    StorageAction::Set(options) => self.options(options),
                };
                format!("ALTER FILESTORAGE {} {action}{}", self.string(engine), mode_word(*mode))
            }
            Statement::ShowFileStorage => "SHOW FILESTORAGE".into(),
            Statement::ShowFlashgate(topic) => {
                let topic = match topic {
                    Topic::Status => "STATUS",
                    Topic::Sessions => "SESSIONS",
                    Topic::Config => "CONFIG",
                    Topic::Version => "VERSION",
                };
                format!("SHOW FLASHGATE {topic}")
            }
            Statement::StandIn(stand_in) => self.stand_in(stand_in),
            Statement::ShowFiles { table, as_of } => {
                format!("SHOW FILES FROM {}{}", self.name(table), opt(as_of, |c| format!(" {}", self.clause(c))))
            }
            _ => return None,
        })
    }

    fn options(&self, options: &StorageOptions) -> String {
        format!("WITH ({})", list(&options.0, |(key, value)| format!("{} = {}", self.string(key), self.string(value))))
    }

    pub(super) fn show(&self, show: &Show) -> String {
        let filter = match &show.filter {
            None => String::new(),
            Some(ShowFilter::Like(pattern)) => format!(" LIKE {}", self.string(pattern)),
            Some(ShowFilter::Where(expr)) => format!(" WHERE {}", self.expr(expr)),
        };
        format!("SHOW {}{filter}", self.show_kind(&show.kind))
    }

    fn show_kind(&self, kind: &ShowKind) -> String {
        let from = |database: &Option<String>| opt(database, |d| format!(" FROM {}", self.ident(d)));
        let scoped = |scope: &Option<Scope>| match scope {
            Some(Scope::Global) => "GLOBAL ",
            Some(_) => "SESSION ",
            None => "",
        };
        let limited = |what: &str, offset: u64, limit: &Option<u64>| format!("{what}{}", opt(limit, |n| format!(" LIMIT {offset}, {n}")));
        match kind {
            ShowKind::Databases => "DATABASES".into(),
            ShowKind::Tables { full, database } => format!("{}TABLES{}", flag(*full, "FULL "), from(database)),
            ShowKind::Columns { full, table } => format!("{}COLUMNS FROM {}", flag(*full, "FULL "), self.name(table)),
            ShowKind::Index { table } => format!("INDEX FROM {}", self.name(table)),
            ShowKind::CreateTable(name) => format!("CREATE TABLE {}", self.name(name)),
            ShowKind::CreateDatabase { name, if_not_exists } => {
                format!("CREATE DATABASE {}{}", flag(*if_not_exists, "IF NOT EXISTS "), self.ident(name))
            }
            ShowKind::CreateView(name) => format!("CREATE VIEW {}", self.name(name)),
            ShowKind::Variables(scope) => format!("{}VARIABLES", scoped(scope)),
            ShowKind::Status(scope) => format!("{}STATUS", scoped(scope)),
            ShowKind::Warnings { offset, limit } => limited("WARNINGS", *offset, limit),
            ShowKind::Errors { offset, limit } => limited("ERRORS", *offset, limit),
            ShowKind::CountWarnings => "COUNT(*) WARNINGS".into(),
            ShowKind::CountErrors => "COUNT(*) ERRORS".into(),
            ShowKind::Processlist { full } => format!("{}PROCESSLIST", flag(*full, "FULL ")),
            ShowKind::Engines => "ENGINES".into(),
            ShowKind::Collation => "COLLATION".into(),
            ShowKind::Charset => "CHARACTER SET".into(),
            ShowKind::Privileges => "PRIVILEGES".into(),
            ShowKind::Grants(user) => format!("GRANTS{}", opt(user, |u| format!(" FOR {}", self.string(u)))),
            ShowKind::TableStatus { database } => format!("TABLE STATUS{}", from(database)),
            ShowKind::OpenTables { database } => format!("OPEN TABLES{}", from(database)),
            ShowKind::Triggers { database } => format!("TRIGGERS{}", from(database)),
            ShowKind::Events { database } => format!("EVENTS{}", from(database)),
            ShowKind::ProcedureStatus => "PROCEDURE STATUS".into(),
            ShowKind::FunctionStatus => "FUNCTION STATUS".into(),
            ShowKind::Plugins => "PLUGINS".into(),
            ShowKind::MasterStatus => "MASTER STATUS".into(),
            ShowKind::ReplicaStatus { old_names } => if *old_names { "SLAVE STATUS" } else { "REPLICA STATUS" }.into(),
            ShowKind::BinaryLogs => "BINARY LOGS".into(),
            ShowKind::Profiles => "PROFILES".into(),
            ShowKind::Setting(name) => name.split('.').map(|part| self.ident(part)).collect::<Vec<_>>().join("."),
            ShowKind::AllSettings => "ALL".into(),
        }
    }
}

/// ` PREVIEW`, ` FORCE` or nothing.
pub(super) fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Do => "",
        Mode::Preview => " PREVIEW",
        Mode::Force => " FORCE",
    }
}

fn modes(modes: &TransactionModes) -> Vec<String> {
    let mut parts = Vec::new();
    parts.extend(modes.isolation.map(|level| {
        let level = match level {
            Isolation::ReadUncommitted => "READ UNCOMMITTED",
            Isolation::ReadCommitted => "READ COMMITTED",
            Isolation::RepeatableRead => "REPEATABLE READ",
            Isolation::Serializable => "SERIALIZABLE",
        };
        format!("ISOLATION LEVEL {level}")
    }));
    parts.extend(modes.read_only.map(|only| if only { "READ ONLY" } else { "READ WRITE" }.to_owned()));
    parts.extend(modes.deferrable.map(|yes| if yes { "DEFERRABLE" } else { "NOT DEFERRABLE" }.to_owned()));
    parts
}
