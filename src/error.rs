//! The one error type. Every error that can reach a client has a [`Kind`], which fixes its MySQL code and its
//! SQLSTATE on both wires, a sentence for the user, and often a hint that says what to do next.

use std::fmt;

/// What went wrong, as a client may act on it. Each kind has one MySQL code and one SQLSTATE a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The read time lies before the table was made, or before the history that a purge has left (names that moment).
    SnapshotTooOld,
    /// The table was made after the snapshot of the open transaction.
    TableTooNew,
    /// The read time lies after now.
    FutureReadTime,
    /// A time clause holds something that is not one constant moment.
    NotConstantTime,
    /// No such table.
    UnknownTable,
    /// No such database (MySQL) or schema (PostgreSQL).
    UnknownDatabase,
    /// No such column.
    UnknownColumn,
    /// A name that could mean two columns.
    AmbiguousColumn,
    /// A function that the engine does not have.
    UnknownFunction,
    /// The text is not a known statement.
    Syntax,
    /// Another transaction committed first.
    WriteConflict,
    /// A guard refused something destructive or impossible in this state.
    Refused,
    /// The user may not do this.
    Denied,
    /// The user lacks a privilege that is needed whatever the object.
    PrivilegeNeeded,
    /// The statement ran longer than allowed.
    StatementTimeout,
    /// The statement was killed or cancelled.
    Killed,
    /// The memory limit of the query engine was reached.
    OutOfMemory,
    /// A store or file is damaged, missing, full or does not answer.
    Storage,
    /// The metadata database is locked, damaged or does not answer.
    Metadata,
    /// The table exists already.
    TableExists,
    /// The database exists already.
    DatabaseExists,
    /// A column that may not be NULL got NULL.
    NotNull,
    /// A value does not fit its column (range).
    OutOfRange,
    /// A string is longer than its column.
    TooLong,
    /// A text cannot be read as the column's type.
    InvalidValue,
    /// A text is no number (or string) that the column could hold.
    IncorrectValue,
    /// A text is no date or time.
    InvalidDatetime,
    /// A value lost something that it may not lose (ENUM, SET, FLOAT).
    Truncated,
    /// A text is not JSON.
    InvalidJson,
    /// A function called with the wrong number or kind of arguments.
    WrongArguments,
    /// A write was sent inside a read-only transaction.
    ReadOnlyTransaction,
    /// The number of values differs from the number of columns.
    ColumnCount,
    /// An expression divided by zero (PostgreSQL sessions).
    DivisionByZero,
    /// A name used twice where it may stand once.
    Duplicate,
    /// A statement or command that is not supported.
    Unsupported,
    /// An unknown system variable.
    UnknownVariable,
    /// A bad value for a variable or an option.
    WrongValue,
    /// A variable that no SET may change.
    ReadOnlyVariable,
    /// A variable that sessions (or the server) do not have of their own.
    WrongScope,
    /// No such time zone.
    UnknownTimeZone,
    /// The transaction has failed; only ROLLBACK is taken (PostgreSQL).
    FailedTransaction,
    /// No such prepared statement.
    UnknownStatement,
    /// No such cursor or portal.
    UnknownPortal,
    /// Wrong user or password.
    AccessDenied,
    /// Too many connections.
    TooManyConnections,
    /// A message larger than the limit.
    PacketTooLarge,
    /// Bytes that are not of the protocol.
    Protocol,
    /// No such connection to kill.
    UnknownThread,
    /// Bytes that are not valid in the connection's character set.
    InvalidCharacter,
    /// The server is shutting down.
    Shutdown,
    /// An unknown file storage.
    UnknownFileStorage,
    /// No database is selected.
    NoDatabase,
    /// A column that is neither grouped by nor aggregated.
    Grouping,
    /// A subquery that stands for one value has several.
    ManyRows,
    /// A column without default that an INSERT leaves out.
    NoDefault,
    /// A table to drop that is not there.
    UnknownTableToDrop,
    /// A default that does not fit its column.
    InvalidDefault,
    /// A key over a column that is not there.
    UnknownKeyColumn,
    /// A prepared statement of that name exists.
    DuplicateStatement,
    /// A cursor of that name exists.
    DuplicateCursor,
    /// A statement that only stands in a transaction stands outside of one.
    NoTransaction,
    /// No such savepoint.
    UnknownSavepoint,
    /// A statement that parses but cannot mean anything (types, arguments).
    InvalidStatement,
    /// A column listed twice in one INSERT.
    SpecifiedTwice,
    /// The result of an expression is outside its type.
    ValueRange,
    /// SELECT .. INTO of more than one row.
    ManyRowsInto,
    /// Queries of a UNION, or SELECT .. INTO and its variables, that differ in their number of columns.
    SelectWidth,
    /// A table or alias named twice in one FROM.
    NotUniqueTable,
    /// No such type.
    UnknownType,
    /// ORDER BY or GROUP BY the position of a column that is not there.
    WrongPosition,
    /// LIMIT below zero.
    NegativeLimit,
    /// OFFSET below zero.
    NegativeOffset,
    /// A day, hour or the like that there is not.
    DatetimeField,
    /// EXPLAIN in a format that there is not.
    ExplainFormat,
    /// A view that reads itself.
    ViewRecursion,
    /// OVER names a window that there is not.
    UnknownWindow,
    /// Two windows of one name.
    WindowTwice,
    /// A window with a PARTITION BY that builds on another.
    WindowPartition,
    /// A window with an ORDER BY that builds on one with an ORDER BY.
    WindowOrder,
    /// A window that builds on one with a frame.
    WindowFrame,
    /// The upstream refused it; the client gets the upstream's code and sentence.
    Upstream,
    /// Our own fault.
    Internal,
    /// What follows ESCAPE is no escape character.
    InvalidEscape,
    /// A place that lies outside of an array or of bytes.
    ArraySubscript,
}

impl Kind {
    /// (MySQL code, SQLSTATE on the MySQL wire, SQLSTATE on the PostgreSQL wire).
    #[rustfmt::skip]
    pub const fn codes(self) -> (u16, &'static str, &'static str) {
        match self {
            Kind::SnapshotTooOld      => (8055, "HY000", "72000"),
            Kind::TableTooNew         => (1412, "HY000", "40001"),
            Kind::FutureReadTime      => (1210, "HY000", "22023"),
            Kind::NotConstantTime     => (1210, "HY000", "22023"),
            Kind::UnknownTable        => (1146, "42S02", "42P01"),
            Kind::UnknownDatabase     => (1049, "42000", "3F000"),
            Kind::UnknownColumn       => (1054, "42S22", "42703"),
            Kind::AmbiguousColumn     => (1052, "23000", "42702"),
            Kind::UnknownFunction     => (1305, "42000", "42883"),
            Kind::Syntax              => (1064, "42000", "42601"),
            Kind::WriteConflict       => (1213, "40001", "40001"),
            Kind::Refused             => (1290, "HY000", "55000"),
            Kind::Denied              => (1142, "42000", "42501"),
            Kind::PrivilegeNeeded     => (1227, "42000", "42501"),
            Kind::StatementTimeout    => (3024, "HY000", "57014"),
            Kind::Killed              => (1317, "70100", "57014"),
            Kind::OutOfMemory         => (1041, "HY000", "53200"),
            Kind::Storage             => (1030, "HY000", "58030"),
            Kind::Metadata            => (1030, "HY000", "58030"),
            Kind::TableExists         => (1050, "42S01", "42P07"),
            Kind::DatabaseExists      => (1007, "HY000", "42P06"),
            Kind::NotNull             => (1048, "23000", "23502"),
            Kind::OutOfRange          => (1264, "22003", "22003"),
            Kind::TooLong             => (1406, "22001", "22001"),
            Kind::InvalidValue        => (1292, "22007", "22P02"),
            Kind::IncorrectValue      => (1366, "HY000", "22P02"),
            Kind::InvalidDatetime     => (1292, "22007", "22007"),
            Kind::Truncated           => (1265, "01000", "22P02"),
            Kind::InvalidJson         => (3140, "22032", "22P02"),
            Kind::WrongArguments      => (1582, "42000", "42883"),
            Kind::ReadOnlyTransaction => (1792, "25006", "25006"),
            Kind::ColumnCount         => (1136, "21S01", "42601"),
            Kind::DivisionByZero      => (1365, "22012", "22012"),
            Kind::Duplicate           => (1060, "42S21", "42701"),
            Kind::Unsupported         => (1235, "42000", "0A000"),
            Kind::UnknownVariable     => (1193, "HY000", "42704"),
            Kind::WrongValue          => (1231, "42000", "22023"),
            Kind::ReadOnlyVariable    => (1238, "HY000", "55P02"),
            Kind::WrongScope          => (1229, "HY000", "55P02"),
            Kind::UnknownTimeZone     => (1298, "HY000", "22023"),
            Kind::NoTransaction       => (1290, "HY000", "25P01"),
            Kind::FailedTransaction   => (1213, "25000", "25P02"),
            Kind::UnknownStatement    => (1243, "HY000", "26000"),
            Kind::UnknownPortal       => (1243, "HY000", "34000"),
            Kind::AccessDenied        => (1045, "28000", "28P01"),
            Kind::TooManyConnections  => (1040, "08004", "53300"),
            Kind::PacketTooLarge      => (1153, "08S01", "54000"),
            Kind::Protocol            => (1043, "08S01", "08P01"),
            Kind::UnknownThread       => (1094, "HY000", "42704"),
            Kind::InvalidCharacter    => (1300, "HY000", "22021"),
            Kind::Shutdown            => (1053, "08S01", "57P01"),
            Kind::UnknownFileStorage  => (1286, "42000", "42704"),
            Kind::NoDatabase          => (1046, "3D000", "3D000"),
            Kind::Grouping            => (1055, "42000", "42803"),
            Kind::ManyRows            => (1242, "21000", "21000"),
            Kind::NoDefault           => (1364, "HY000", "23502"),
            Kind::UnknownTableToDrop  => (1051, "42S02", "42P01"),
            Kind::InvalidDefault      => (1067, "42000", "42804"),
            Kind::UnknownKeyColumn    => (1072, "42000", "42703"),
            Kind::DuplicateStatement  => (1243, "HY000", "42P05"),
            Kind::DuplicateCursor     => (1243, "HY000", "42P03"),
            Kind::UnknownSavepoint    => (1305, "42000", "3B001"),
            Kind::InvalidStatement    => (1210, "HY000", "42804"),
            Kind::SpecifiedTwice      => (1110, "42000", "42701"),
            Kind::ValueRange          => (1690, "22003", "22003"),
            Kind::ManyRowsInto        => (1172, "42000", "21000"),
            Kind::ViewRecursion       => (1462, "HY000", "42P17"),
            Kind::SelectWidth         => (1222, "21000", "42601"),
            Kind::NotUniqueTable      => (1066, "42000", "42712"),
            Kind::UnknownType         => (4161, "HY000", "42704"),
            Kind::WrongPosition       => (1054, "42S22", "42P10"),
            Kind::NegativeLimit       => (1064, "42000", "2201W"),
            Kind::NegativeOffset      => (1064, "42000", "2201X"),
            Kind::DatetimeField       => (1292, "22007", "22008"),
            Kind::ExplainFormat       => (1791, "HY000", "22023"),
            Kind::UnknownWindow       => (3579, "HY000", "42704"),
            Kind::WindowTwice         => (3591, "HY000", "42P20"),
            Kind::WindowPartition     => (3581, "HY000", "42P20"),
            Kind::WindowOrder         => (3583, "HY000", "42P20"),
            Kind::WindowFrame         => (3582, "HY000", "42P20"),
            Kind::Upstream            => (1105, "HY000", "XX000"),
            Kind::Internal            => (1105, "HY000", "XX000"),
            Kind::InvalidEscape       => (1210, "HY000", "22025"),
            Kind::ArraySubscript      => (1690, "22003", "2202E"),
        }
    }
}

/// An error with its kind, its sentence and, where known, a hint and the place in the statement.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: Kind,
    message: String,
    hint: Option<String>,
    /// 1-based character position in the statement's text.
    position: Option<usize>,
    foreign: Option<Foreign>,
}

/// An error of the upstream's, as its protocol has it: the client gets these bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// MySQL's code; 0 in PostgreSQL.
    pub code: u16,
    /// The payload of the ERR packet, or the body of the ErrorResponse.
    pub bytes: Vec<u8>,
}

/// Result with our [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` whose `message` says what happened, to what, and what to do.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, message: message.into(), hint: None, position: None, foreign: None }))
    }

    /// Adds what the user can do about it.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the place in the statement: 1-based, in characters.
    pub fn at(mut self, position: usize) -> Self {
        self.0.position = Some(position);
        self
    }

    /// Our own fault: says so, and where to look.
    pub fn internal(message: impl Into<String>) -> Self {
        Error::new(Kind::Internal, message)
    }

    /// An error of the upstream's.
    pub fn of_upstream(message: impl Into<String>, foreign: Foreign) -> Self {
        let mut error = Error::new(Kind::Upstream, message);
        error.0.foreign = Some(foreign);
        error
    }

    /// A statement that we do not support, named.
    pub fn unsupported(what: impl fmt::Display) -> Self {
        Error::new(Kind::Unsupported, format!("{what} is not supported"))
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The sentence for the user, without the hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// 1-based character position in the statement.
    pub fn position(&self) -> Option<usize> {
        self.0.position
    }

    /// The upstream's own error, when it is one.
    pub fn foreign(&self) -> Option<&Foreign> {
        self.0.foreign.as_ref()
    }

    /// The MySQL error code.
    pub fn mysql_code(&self) -> u16 {
        self.0.foreign.as_ref().map_or(self.0.kind.codes().0, |foreign| foreign.code)
    }

    /// The SQLSTATE that a MySQL client expects beside the code.
    pub fn mysql_sqlstate(&self) -> &'static str {
        self.0.kind.codes().1
    }

    /// The SQLSTATE that a PostgreSQL client expects.
    pub fn sqlstate(&self) -> &'static str {
        self.0.kind.codes().2
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(hint) = &self.0.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    /// The table of docs/sql.md against the table of this file.
    #[test]
    fn the_reference_lists_every_error_with_its_codes() {
        let docs = include_str!("../docs/sql.md");
        let rows = include_str!("error.rs").lines().filter_map(|line| line.trim().strip_prefix("Kind::")?.split_once("=> ("));
        let mut seen = 0;
        for (name, codes) in rows {
            let codes: Vec<&str> = codes.trim_end_matches("),").split(", ").map(|code| code.trim_matches('"')).collect();
            let [mysql, state, postgres] = codes.as_slice() else { panic!("{name}: {codes:?}") };
            let row = format!("| {} | {mysql} {state} | {postgres} |", name.trim());
            assert!(docs.contains(&row), "docs/sql.md has no row {row}");
            seen += 1;
        }
        assert!(seen > 60, "{seen}");
    }
}
