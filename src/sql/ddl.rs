//! Types of the statements that define things: names, tables, columns, views.

use crate::types::{Default, SqlType};

use super::ast;
use super::query::{Mode, Query, TimeClause};

/// The name of a table or view as written: one part, `database.table` (MySQL), `schema.table` or
/// `database.schema.table` (PostgreSQL). Case is kept; names are compared without it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    /// One to three parts, the table's own last. Never empty.
    pub parts: Vec<String>,
}

impl Name {
    /// A name without a qualifier.
    pub fn bare(name: impl Into<String>) -> Name {
        Name { parts: vec![name.into()] }
    }

    /// The last part.
    pub fn name(&self) -> &str {
        self.parts.last().map(String::as_str).unwrap_or_default()
    }

    /// The parts before the last.
    pub fn qualifier(&self) -> &[String] {
        &self.parts[..self.parts.len().saturating_sub(1)]
    }

    /// From sqlparser's name.
    pub fn of(name: &ast::ObjectName) -> Name {
        Name { parts: name.0.iter().map(|part| part.as_ident().map_or_else(|| part.to_string(), |ident| ident.value.clone())).collect() }
    }
}

/// Without quotes, for messages.
impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.parts.join("."))
    }
}

/// CREATE TABLE.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTable {
    pub name: Name,
    /// `TEMPORARY`: no cold table is.
    pub temporary: bool,
    /// `OR SHADOW`: a hot table or view of its name is hidden from now on.
    pub shadow: bool,
    pub if_not_exists: bool,
    pub columns: Vec<ColumnDef>,
    /// Documentation only.
    pub keys: Vec<KeyDef>,
    /// `ENGINE = x`: the file storage's engine.
    pub engine: Option<String>,
    /// `ARCHIVE_MODE = 'LOADING' | 'TTL'`, upper case.
    pub archive_mode: Option<String>,
    pub comment: String,
    /// `LIKE other`.
    pub like: Option<Name>,
    /// `[AS] SELECT ..`
    pub as_query: Option<Query>,
    /// What was accepted without effect; one sentence each, to be shown as warnings.
    pub warnings: Vec<String>,
    /// For a table of the upstream's.
    pub written: Written,
}

/// A CREATE TABLE as it was written, but for its columns and its query. It says nothing that the statement does not, so it
/// does not count when two are compared.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// `CREATE TEMPORARY TABLE IF NOT EXISTS`
    pub create: String,
    /// As it was quoted.
    pub name: String,
    /// What stands behind the columns.
    pub options: String,
}

impl Written {
    /// The statement with these columns.
    pub fn with_columns(&self, columns: &str) -> String {
        format!("{} {} ({columns}) {}", self.create, self.name, self.options).trim_end().to_owned()
    }
}

impl PartialEq for Written {
    fn eq(&self, _: &Written) -> bool {
        true
    }
}

/// A column as declared.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDef {
    pub name: String,
    pub ty: SqlType,
    pub nullable: bool,
    /// None: NULL, or no default when not nullable.
    pub default: Option<Default>,
    pub comment: String,
}

/// A key as declared; documentation only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDef {
    /// Empty: unnamed. `PRIMARY` for the primary key.
    pub name: String,
    pub columns: Vec<String>,
    pub unique: bool,
    pub primary: bool,
}

/// ALTER TABLE.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterTable {
    pub name: Name,
    pub if_exists: bool,
    pub actions: Vec<AlterAction>,
}

/// One action of ALTER TABLE.
#[derive(Debug, Clone, PartialEq)]
pub enum AlterAction {
    /// `RENAME [TO | AS] x`; PostgreSQL's `SET SCHEMA s` is not taken.
    Rename(Name),
    AddColumn {
        column: ColumnDef,
        if_not_exists: bool,
        position: Option<ColumnPosition>,
    },
    DropColumn {
        name: String,
        if_exists: bool,
    },
    RenameColumn {
        from: String,
        to: String,
    },
    /// MODIFY (from = the column's name) and CHANGE.
    ModifyColumn {
        from: String,
        column: ColumnDef,
        position: Option<ColumnPosition>,
    },
    /// PostgreSQL's `ALTER COLUMN c [SET DATA] TYPE t`.
    SetType {
        name: String,
        ty: SqlType,
    },
    /// `ALTER COLUMN c SET DEFAULT e`; None: `DROP DEFAULT`.
    SetDefault {
        name: String,
        default: Option<Default>,
    },
    /// `ALTER COLUMN c SET NOT NULL` (false), `DROP NOT NULL` (true).
    SetNullable {
        name: String,
        nullable: bool,
    },
    /// `COMMENT = 'x'`.
    Comment(String),
    /// `ENGINE = x`.
    Engine(String),
    /// `ADD INDEX ..`, `ADD PRIMARY KEY ..`: documentation only.
    AddKey(KeyDef),
    /// `DROP INDEX i`, `DROP PRIMARY KEY` (name `PRIMARY`).
    DropKey(String),
    /// `DROP FILE 'f', ..`
    DropFile(Vec<String>),
    /// `ADD FILE 'uri' [(a, b)], ..`
    AddFile(Vec<AddedFile>),
    /// `PURGE BEFORE TIMESTAMP e [PREVIEW | FORCE]`; the only action then.
    PurgeBefore {
        time: TimeClause,
        mode: Mode,
    },
}

/// What ADD FILE takes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedFile {
    /// A file, a folder (`dir/`) or a pattern (`dir/*.orc`).
    pub uri: String,
    /// The columns to take, by the name that they have in the file and in the table. Empty: all of the file's.
    pub columns: Vec<String>,
}

/// Where a new column goes; by default last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnPosition {
    First,
    After(String),
}

/// CREATE VIEW.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateView {
    pub name: Name,
    pub or_replace: bool,
    /// As that of [`CreateTable`].
    pub shadow: bool,
    pub if_not_exists: bool,
    /// `v (a, b)`; none: the query's own.
    pub columns: Vec<String>,
    /// The query's text as written.
    pub definition: String,
    pub query: Query,
}

/// CREATE STANDIN, DROP STANDIN, SHOW COLD STANDINS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StandIn {
    /// OR REPLACE: one that is there is made again as the table is now.
    Create {
        or_replace: bool,
        names: Vec<Name>,
    },
    Drop {
        if_exists: bool,
        names: Vec<Name>,
    },
    Show,
}
