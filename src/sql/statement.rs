//! The statements of both dialects as types: what [`super::parse`] gives and the rooms above act on.
//!
//! Ordinary queries and changes keep sqlparser's tree (`ast`); everything that Flashgate answers by itself has a type
//! here. A statement knows nothing about what exists: names are as written, times are not yet evaluated.

use std::fmt;
use std::sync::Arc;

use super::ast;
pub use super::bulk::*;
use super::ddl::{AlterTable, CreateTable, CreateView, Name, StandIn};
pub use super::grant::*;
pub use super::language::*;
pub use super::query::*;

/// One statement of a text.
#[derive(Clone)]
pub struct Parsed {
    /// What it says.
    pub statement: Statement,
    /// Its own slice of the text, without the semicolon.
    pub text: Arc<str>,
    /// How many parameters it takes: `?` counted in text order, or the largest `$n`.
    pub params: usize,
    /// The contents of its optimizer hints `/*+ .. */`, in order.
    pub hints: Vec<String>,
    /// How long a query may run, in milliseconds, by the hint `MAX_EXECUTION_TIME(n)` behind its first SELECT.
    pub limit: Option<u64>,
    /// What holds for it alone: the assignments of MariaDB's `SET STATEMENT a = 1, .. FOR` before it.
    pub settings: Vec<Setting>,
}

/// Leaves the text out: it may hold secrets.
impl fmt::Debug for Parsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parsed").field("statement", &self.statement.verb()).field("params", &self.params).finish_non_exhaustive()
    }
}

impl Parsed {
    /// The value of `name` in a hint `TDDL:cmd_extra(NAME=value, ..)`, case ignored.
    pub fn cmd_extra(&self, name: &str) -> Option<&str> {
        self.hints.iter().find_map(|hint| {
            let start = hint.to_ascii_lowercase().find("cmd_extra(")? + "cmd_extra(".len();
            let inner = hint[start..].split(')').next()?;
            inner.split(',').find_map(|pair| {
                let (key, value) = pair.split_once('=')?;
                key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches(['\'', '"']))
            })
        })
    }
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// SELECT, WITH, VALUES, TABLE, or one in parentheses.
    Query(Query),
    /// EXPLAIN of a statement.
    Explain(Explain),
    /// `DESCRIBE t [column or pattern]`.
    Describe { table: Name, column: Option<String> },
    /// INSERT and REPLACE.
    Insert(Insert),
    /// UPDATE. Takes no statement-level time clause; tables in its subqueries may have their own.
    Update(Box<ast::Update>),
    /// DELETE. As UPDATE.
    Delete(Box<ast::Delete>),
    /// `TRUNCATE [TABLE] t, ..`
    Truncate { names: Vec<Name> },

    /// `CREATE DATABASE | SCHEMA`.
    /// `schema`: PostgreSQL's SCHEMA, which lies within the current database.
    CreateDatabase { name: Name, schema: bool, if_not_exists: bool },
    /// `DROP DATABASE | SCHEMA`.
    DropDatabase { name: Name, schema: bool, if_exists: bool, cascade: bool },
    /// CREATE TABLE.
    CreateTable(Box<CreateTable>),
    /// DROP TABLE.
    DropTable { names: Vec<Name>, if_exists: bool },
    /// ALTER TABLE.
    AlterTable(AlterTable),
    /// `RENAME TABLE a TO b, ..`
    RenameTable { pairs: Vec<(Name, Name)> },
    /// CREATE VIEW.
    CreateView(Box<CreateView>),
    /// DROP VIEW.
    DropView { names: Vec<Name>, if_exists: bool },
    /// `CREATE INDEX`: accepted as documentation, a warning says so.
    CreateIndex { table: Name, key: super::ddl::KeyDef, if_not_exists: bool },
    /// `DROP INDEX i [ON t]`.
    DropIndex { name: Name, table: Option<Name>, if_exists: bool },
    /// PostgreSQL's `COMMENT ON TABLE | COLUMN`; `text` None removes it.
    Comment { table: Name, column: Option<String>, text: Option<String> },
    /// `OPTIMIZE TABLE t, ..`: merges small files.
    OptimizeTable { names: Vec<Name> },
    /// `ANALYZE TABLE t, ..`, `ANALYZE [t, ..]`, `VACUUM`.
    AnalyzeTable { names: Vec<Name> },
    /// `CHECK TABLE t, ..`
    CheckTable { names: Vec<Name> },

    /// `SHOW RECYCLEBIN`.
    ShowRecycleBin,
    /// `FLASHBACK TABLE x TO BEFORE DROP [RENAME TO y]`.
    FlashbackTable { name: Name, rename_to: Option<String> },
    /// `PURGE TABLE x`.
    PurgeTable { name: Name },
    /// `PURGE RECYCLEBIN`.
    PurgeRecycleBin,
    /// `CREATE FILESTORAGE ENGINE [IF NOT EXISTS] WITH (..)`.
    CreateFileStorage { engine: String, if_not_exists: bool, options: StorageOptions },
    /// `DROP FILESTORAGE x`.
    DropFileStorage { engine: String, if_exists: bool },
    /// `CLEAR FILESTORAGE x [PREVIEW | FORCE]`.
    ClearFileStorage { engine: String, mode: Mode },
    /// `ALTER FILESTORAGE x ..`
    AlterFileStorage { engine: String, action: StorageAction, mode: Mode },
    /// `SHOW FILESTORAGE`.
    ShowFileStorage,
    /// `SHOW FLASHGATE x`: about this server.
    ShowFlashgate(Topic),
    /// `SHOW FILES FROM t [AS OF ..]`.
    ShowFiles { table: Name, as_of: Option<TimeClause> },
    /// `GRANT | REVOKE .. ON COLD TABLE | FILESTORAGE ..`
    Grant(Grant),
    /// `SHOW COLD GRANTS [FOR user]`.
    ShowColdGrants(Option<Grantee>),

    /// BEGIN, START TRANSACTION.
    Begin(Begin),
    /// COMMIT, END.
    Commit { chain: bool, release: bool },
    /// ROLLBACK, ABORT.
    Rollback { chain: bool, release: bool },
    /// SAVEPOINT.
    Savepoint(String),
    /// `ROLLBACK TO [SAVEPOINT] s`.
    RollbackTo(String),
    /// `RELEASE [SAVEPOINT] s`.
    Release(String),
    /// `SET [SESSION | GLOBAL] TRANSACTION ..`, `SET SESSION CHARACTERISTICS AS TRANSACTION ..`
    SetTransaction { scope: Option<Scope>, modes: TransactionModes },

    /// SET, a list of assignments.
    Set(Vec<Setting>),
    /// PostgreSQL's RESET; None: all.
    Reset(Option<String>),
    /// PostgreSQL's `DISCARD ALL | PLANS | SEQUENCES | TEMP`.
    Discard(Discard),
    /// PostgreSQL's `UNLISTEN {channel | *}`: nobody listens here.
    Unlisten(String),
    /// SHOW.
    Show(Show),
    /// `USE db`.
    Use(String),
    /// Stand-ins of cold tables in the upstream's catalog.
    StandIn(StandIn),
    /// `KILL [CONNECTION | QUERY] id`.
    Kill { query_only: bool, id: ast::Expr },

    /// Textual PREPARE.
    Prepare { name: String, source: PrepareSource },
    /// Textual EXECUTE; MySQL: user variables, PostgreSQL: constant expressions.
    Execute { name: String, args: Vec<ast::Expr> },
    /// MariaDB's EXECUTE IMMEDIATE: prepares, executes and forgets.
    ExecuteImmediate { source: PrepareSource, args: Vec<ast::Expr> },
    /// `DEALLOCATE [PREPARE] n`, `DROP PREPARE n`; None: all.
    Deallocate(Option<String>),
    /// PostgreSQL's `DECLARE n .. CURSOR [WITH HOLD] FOR query`.
    DeclareCursor { name: String, hold: bool, query: Query },
    /// PostgreSQL's FETCH (and MOVE) from a cursor.
    Fetch { name: String, count: FetchCount, is_move: bool },
    /// PostgreSQL's CLOSE; None: all.
    CloseCursor(Option<String>),

    /// PostgreSQL's COPY.
    Copy(Copy),
    /// MySQL's LOAD DATA.
    LoadData(Load),
    /// `LOCK TABLES`: the tables and whether for writing.
    LockTables(Vec<(Name, bool)>),
    /// `UNLOCK TABLES`.
    UnlockTables,
    /// `DO e, ..`
    Do(Vec<ast::Expr>),
    /// MySQL's `SELECT .. INTO @a, @b`; names without the sign.
    SelectInto { variables: Vec<String>, query: Query },
    /// `FLUSH ..`: there is nothing to flush.
    Flush(String),
    /// Understood, but not done here: the words name it. The rooms above answer "not supported".
    Unsupported(String),
}

impl Statement {
    /// The first words, for logs, metrics and PostgreSQL's command tag.
    #[rustfmt::skip]
    pub fn verb(&self) -> &'static str {
        match self {
            Statement::Query(_) => "SELECT",
            Statement::Explain(_) => "EXPLAIN",
            Statement::Describe { .. } => "DESCRIBE",
            Statement::Insert(Insert { insert, .. }) if insert.replace_into => "REPLACE",
            Statement::Insert(_) => "INSERT",
            Statement::Update(_) => "UPDATE",
            Statement::Delete(_) => "DELETE",
            Statement::Truncate { .. } => "TRUNCATE TABLE",
            Statement::CreateDatabase { .. } => "CREATE DATABASE",
            Statement::DropDatabase { .. } => "DROP DATABASE",
            Statement::CreateTable(_) => "CREATE TABLE",
            Statement::DropTable { .. } => "DROP TABLE",
            Statement::AlterTable(_) => "ALTER TABLE",
            Statement::RenameTable { .. } => "RENAME TABLE",
            Statement::CreateView(_) => "CREATE VIEW",
            Statement::DropView { .. } => "DROP VIEW",
            Statement::CreateIndex { .. } => "CREATE INDEX",
            Statement::DropIndex { .. } => "DROP INDEX",
            Statement::Comment { .. } => "COMMENT",
            Statement::OptimizeTable { .. } => "OPTIMIZE TABLE",
            Statement::AnalyzeTable { .. } => "ANALYZE",
            Statement::CheckTable { .. } => "CHECK TABLE",
            Statement::ShowRecycleBin | Statement::ShowFileStorage | Statement::ShowFlashgate(_) => "SHOW",
            Statement::ShowFiles { .. } | Statement::Show(_) => "SHOW",
            Statement::Grant(Grant { revoke: false, .. }) => "GRANT",
            Statement::Grant(_) => "REVOKE",
            Statement::ShowColdGrants(_) | Statement::StandIn(StandIn::Show) => "SHOW",
            Statement::StandIn(StandIn::Create { .. }) => "CREATE STANDIN",
            Statement::StandIn(StandIn::Drop { .. }) => "DROP STANDIN",
            Statement::FlashbackTable { .. } => "FLASHBACK TABLE",
            Statement::PurgeTable { .. } => "PURGE TABLE",
            Statement::PurgeRecycleBin => "PURGE RECYCLEBIN",
            Statement::CreateFileStorage { .. } => "CREATE FILESTORAGE",
            Statement::DropFileStorage { .. } => "DROP FILESTORAGE",
            Statement::ClearFileStorage { .. } => "CLEAR FILESTORAGE",
            Statement::AlterFileStorage { .. } => "ALTER FILESTORAGE",
            Statement::Begin(_) => "BEGIN",
            Statement::Commit { .. } => "COMMIT",
            Statement::Rollback { .. } | Statement::RollbackTo(_) => "ROLLBACK",
            Statement::Savepoint(_) => "SAVEPOINT",
            Statement::Release(_) => "RELEASE",
            Statement::SetTransaction { .. } | Statement::Set(_) => "SET",
            Statement::Reset(_) => "RESET",
            Statement::Discard(Discard::All) => "DISCARD ALL",
            Statement::Discard(_) => "DISCARD",
            Statement::Unlisten(_) => "UNLISTEN",
            Statement::Use(_) => "USE",
            Statement::Kill { .. } => "KILL",
            Statement::Prepare { .. } => "PREPARE",
            Statement::Execute { .. } | Statement::ExecuteImmediate { .. } => "EXECUTE",
            Statement::Deallocate(_) => "DEALLOCATE",
            Statement::DeclareCursor { .. } => "DECLARE CURSOR",
            Statement::Fetch { is_move: true, .. } => "MOVE",
            Statement::Fetch { .. } => "FETCH",
            Statement::CloseCursor(_) => "CLOSE CURSOR",
            Statement::Copy(_) => "COPY",
            Statement::LoadData(_) => "LOAD DATA",
            Statement::LockTables(_) => "LOCK TABLES",
            Statement::UnlockTables => "UNLOCK TABLES",
            Statement::Do(_) => "DO",
            Statement::SelectInto { .. } => "SELECT",
            Statement::Flush(_) => "FLUSH",
            Statement::Unsupported(_) => "UNSUPPORTED",
        }
    }
}

/// EXPLAIN, with its options.
#[derive(Debug, Clone, PartialEq)]
pub struct Explain {
    pub analyze: bool,
    pub verbose: bool,
    /// `FORMAT = x`, as written.
    pub format: Option<String>,
    pub inner: Box<Statement>,
}

/// INSERT or REPLACE (`insert.replace_into`).
#[derive(Debug, Clone, PartialEq)]
pub struct Insert {
    /// The tree; rows, a query or `SET` assignments as its source.
    pub insert: Box<ast::Insert>,
    /// The clause of `INSERT .. SELECT .. AS OF ..`, for the tables that the query reads.
    pub as_of: Option<TimeClause>,
}

/// What `ALTER FILESTORAGE` is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum StorageAction {
    /// Write the list of all file versions into the store.
    Backup,
    /// Forget the history before a time.
    PurgeBefore(TimeClause),
    /// Trim everything to a time.
    AsOf(TimeClause),
    /// Change options: `WITH ('KEY'='value', ..)`.
    Set(StorageOptions),
}

/// The options of a file storage, keys in upper case, in order. Debug hides the values of secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct StorageOptions(pub Vec<(String, String)>);

impl StorageOptions {
    /// Is the value of this key a secret?
    pub fn is_secret(key: &str) -> bool {
        let key = key.to_ascii_uppercase();
        ["SECRET", "ACCESS_KEY", "PASSWORD", "TOKEN", "CONNECTION_STRING", "CREDENTIAL", "SAS"].iter().any(|word| key.contains(word))
    }
}

impl fmt::Debug for StorageOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|(k, v)| (k, if Self::is_secret(k) { "***" } else { v.as_str() }));
        f.debug_map().entries(shown).finish()
    }
}

/// BEGIN or START TRANSACTION.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Begin {
    pub modes: TransactionModes,
    /// `WITH CONSISTENT SNAPSHOT`.
    pub snapshot: bool,
    /// `AS OF ..`: every read of the transaction is at that time. Implies READ ONLY.
    pub as_of: Option<TimeClause>,
}

/// The modes of a transaction; None: not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransactionModes {
    pub isolation: Option<Isolation>,
    pub read_only: Option<bool>,
    pub deferrable: Option<bool>,
}

/// Isolation levels as users name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

/// Whose variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    Session,
    Global,
    /// PostgreSQL's LOCAL: until the end of the transaction.
    Local,
    /// MySQL's PERSIST.
    Persist,
}

/// One assignment of SET.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    /// `@name = e`.
    User { name: String, value: ast::Expr },
    /// A system variable. A bare word (`ON`, `utf8mb4`, `ISO`) is an `Expr::Identifier`; several values are PostgreSQL's
    /// lists (`SET DateStyle = ISO, MDY`); none: DEFAULT. `SET TIME ZONE x` is the variable `time_zone` / `TimeZone`.
    System { scope: Option<Scope>, name: String, values: Vec<ast::Expr> },
    /// `SET NAMES c [COLLATE c]`; None: DEFAULT.
    Names { charset: Option<String>, collation: Option<String> },
    /// `SET CHARACTER SET c`; None: DEFAULT.
    Charset(Option<String>),
    /// `SET flashback_read_time = e | DEFAULT`.
    ReadTime { scope: Option<Scope>, time: Option<TimeClause> },
}

/// What SHOW FLASHGATE shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    Status,
    Sessions,
    Config,
    Version,
}

/// What DISCARD discards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Discard {
    All,
    Plans,
    Sequences,
    Temp,
}

/// SHOW: what, and which rows of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Show {
    pub kind: ShowKind,
    pub filter: Option<ShowFilter>,
}

/// Which rows of a SHOW.
#[derive(Debug, Clone, PartialEq)]
pub enum ShowFilter {
    /// `LIKE 'pattern'`, escapes resolved as MySQL's LIKE wants them.
    Like(String),
    /// `WHERE e` over the columns of the SHOW.
    Where(Box<ast::Expr>),
}

/// What SHOW shows.
#[derive(Debug, Clone, PartialEq)]
pub enum ShowKind {
    Databases,
    Tables {
        full: bool,
        database: Option<String>,
    },
    Columns {
        full: bool,
        table: Name,
    },
    Index {
        table: Name,
    },
    CreateTable(Name),
    CreateDatabase {
        name: String,
        if_not_exists: bool,
    },
    CreateView(Name),
    Variables(Option<Scope>),
    Status(Option<Scope>),
    /// `SHOW WARNINGS [LIMIT [offset,] count]`.
    Warnings {
        offset: u64,
        limit: Option<u64>,
    },
    Errors {
        offset: u64,
        limit: Option<u64>,
    },
    CountWarnings,
    CountErrors,
    Processlist {
        full: bool,
    },
    Engines,
    Collation,
    Charset,
    Privileges,
    /// `SHOW GRANTS [FOR user]`.
    Grants(Option<String>),
    TableStatus {
        database: Option<String>,
    },
    OpenTables {
        database: Option<String>,
    },
    Triggers {
        database: Option<String>,
    },
    Events {
        database: Option<String>,
    },
    ProcedureStatus,
    FunctionStatus,
    Plugins,
    MasterStatus,
    /// `old_names`: SHOW SLAVE STATUS.
    ReplicaStatus {
        old_names: bool,
    },
    BinaryLogs,
    Profiles,
    /// PostgreSQL: `SHOW name`.
    Setting(String),
    /// PostgreSQL: `SHOW ALL`.
    AllSettings,
}

/// Where PREPARE and EXECUTE IMMEDIATE take their statement from.
#[derive(Debug, Clone, PartialEq)]
pub enum PrepareSource {
    /// MySQL: `FROM 'text'`.
    Text(String),
    /// MySQL: `FROM @variable`.
    Variable(String),
    /// MariaDB: from any expression, and how it is written.
    Expr { expr: Box<ast::Expr>, text: Arc<str> },
    /// PostgreSQL: `[(types)] AS statement`: its text and what it says.
    Statement { types: Vec<crate::types::SqlType>, text: Arc<str>, statement: Box<Statement>, params: usize },
}

/// How much FETCH fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FetchCount {
    /// Forward by so many rows.
    Forward(u64),
    /// All that remain.
    All,
    /// Backwards, first, last, absolute: not done by a forward-only cursor.
    Other,
}
