//! Rights over cold tables and file storages: the types of GRANT, REVOKE, SHOW COLD GRANTS.

use super::ddl::Name;

/// What a user may be allowed to do with a cold table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TablePrivilege {
    Select,
    Insert,
    Update,
    Delete,
    Create,
    Alter,
    Drop,
}

impl TablePrivilege {
    /// ALL PRIVILEGES.
    pub const ALL: [TablePrivilege; 7] = [
        TablePrivilege::Select,
        TablePrivilege::Insert,
        TablePrivilege::Update,
        TablePrivilege::Delete,
        TablePrivilege::Create,
        TablePrivilege::Alter,
        TablePrivilege::Drop,
    ];

    /// As written, in upper case.
    pub fn word(self) -> &'static str {
        match self {
            TablePrivilege::Select => "SELECT",
            TablePrivilege::Insert => "INSERT",
            TablePrivilege::Update => "UPDATE",
            TablePrivilege::Delete => "DELETE",
            TablePrivilege::Create => "CREATE",
            TablePrivilege::Alter => "ALTER",
            TablePrivilege::Drop => "DROP",
        }
    }

    /// The privilege of this word.
    pub fn of_word(word: &str) -> Option<TablePrivilege> {
        TablePrivilege::ALL.into_iter().find(|privilege| privilege.word() == word)
    }
}

/// What a user may be allowed to do with the file storages and the recycle bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StoragePrivilege {
    Backup,
    Restore,
    /// Everything, the rights of others included.
    Admin,
}

impl StoragePrivilege {
    /// All of them.
    pub const ALL: [StoragePrivilege; 3] = [StoragePrivilege::Backup, StoragePrivilege::Restore, StoragePrivilege::Admin];

    /// As written, in upper case.
    pub fn word(self) -> &'static str {
        match self {
            StoragePrivilege::Backup => "BACKUP",
            StoragePrivilege::Restore => "RESTORE",
            StoragePrivilege::Admin => "ADMIN",
        }
    }

    /// The privilege of this word.
    pub fn of_word(word: &str) -> Option<StoragePrivilege> {
        StoragePrivilege::ALL.into_iter().find(|privilege| privilege.word() == word)
    }
}

/// Who is granted something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Grantee {
    /// Everybody.
    Public,
    /// MySQL: an account, of any host when none is given. PostgreSQL: a role.
    User { name: String, host: Option<String> },
}

/// Which cold tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantScope {
    /// One table or view.
    Table(Name),
    /// `db.*`: the parts before the asterisk, one or two.
    Database(Vec<String>),
    /// `*.*`
    All,
}

/// What is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Granted {
    Tables { privileges: Vec<TablePrivilege>, scope: GrantScope },
    Storages(Vec<StoragePrivilege>),
}

/// GRANT and REVOKE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub revoke: bool,
    pub what: Granted,
    pub users: Vec<Grantee>,
}
