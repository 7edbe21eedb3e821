//! What a value is to become, and the sentences for when it cannot.

use jiff::tz::TimeZone;

use crate::error::{Error, Kind};
use crate::types::SqlType;

/// The dialect of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// MySQL.
    MySql,
    /// PostgreSQL.
    Postgres,
}

/// The column (or cast) that values are turned into.
pub(super) struct Target<'a> {
    pub(super) name: &'a str,
    pub(super) ty: &'a SqlType,
    pub(super) family: Family,
    pub(super) zone: &'a TimeZone,
    pub(super) row_offset: u64,
}

/// How much of a user's value an error repeats.
const SHOWN: usize = 64;

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

impl Target<'_> {
    pub(super) fn is_mysql(&self) -> bool {
        self.family == Family::MySql
    }

    /// 1-based number of the row at `index` of this array.
    fn row(&self, index: usize) -> u64 {
        self.row_offset + index as u64 + 1
    }

    /// A NULL where none may be.
    pub(super) fn null(&self) -> Error {
        Error::new(
            Kind::NotNull,
            match self.family {
                Family::MySql => format!("Column '{}' cannot be null", self.name),
                Family::Postgres => format!("null value in column \"{}\" violates not-null constraint", self.name),
            },
        )
    }

    /// A number outside the column's range.
    pub(super) fn out_of_range(&self, index: usize, value: impl std::fmt::Display) -> Error {
        Error::new(
            Kind::OutOfRange,
            match (self.family, self.ty) {
                (Family::MySql, _) => format!("Out of range value for column '{}' at row {}", self.name, self.row(index)),
                (Family::Postgres, SqlType::Decimal { .. }) => "numeric field overflow".to_owned(),
                (Family::Postgres, ty) => {
                    format!("value \"{}\" is out of range for type {}", shown(&value.to_string()), ty.postgres_name())
                }
            },
        )
    }

    /// A text that is no value of the type.
    pub(super) fn incorrect(&self, index: usize, text: &str) -> Error {
        match self.family {
            Family::MySql => {
                let (kind, word) = match self.ty {
                    SqlType::Float32 | SqlType::Float64 => (Kind::Truncated, "double"),
                    SqlType::Enum { .. } | SqlType::Set { .. } => (Kind::Truncated, ""),
                    SqlType::Json => (Kind::InvalidJson, ""),
                    SqlType::Decimal { .. } => (Kind::IncorrectValue, "decimal"),
                    SqlType::Date => (Kind::InvalidDatetime, "date"),
                    SqlType::Time { .. } => (Kind::InvalidDatetime, "time"),
                    SqlType::DateTime { .. } | SqlType::Timestamp { .. } => (Kind::InvalidDatetime, "datetime"),
                    SqlType::Uuid => (Kind::IncorrectValue, "uuid"),
                    ty if ty.is_text() || ty.is_binary() => (Kind::IncorrectValue, "string"),
                    _ => (Kind::IncorrectValue, "integer"),
                };
                let (name, row) = (self.name, self.row(index));
                Error::new(
                    kind,
                    match kind {
                        Kind::Truncated => format!("Data truncated for column '{name}' at row {row}"),
                        Kind::InvalidJson => format!("Invalid JSON text: \"{}\" for column '{name}' at row {row}", shown(text)),
                        _ => format!("Incorrect {word} value: '{}' for column '{name}' at row {row}", shown(text)),
                    },
                )
            }
            Family::Postgres => {
                let kind = match self.ty {
                    SqlType::Date | SqlType::Time { .. } | SqlType::DateTime { .. } | SqlType::Timestamp { .. } => Kind::InvalidDatetime,
                    SqlType::Json => Kind::InvalidJson,
                    _ => Kind::InvalidValue,
                };
                let ty = match self.ty {
                    SqlType::Decimal { .. } => "numeric".to_owned(),
                    SqlType::Enum { .. } => {
                        return Error::new(kind, format!("invalid input value for enum \"{}\": \"{}\"", self.name, shown(text)));
                    }
                    SqlType::DateTime { .. } => "timestamp".to_owned(),
                    SqlType::Timestamp { .. } => "timestamp with time zone".to_owned(),
                    SqlType::Time { .. } => "time".to_owned(),
                    ty => ty.postgres_name(),
                };
                Error::new(kind, format!("invalid input syntax for type {ty}: \"{}\"", shown(text)))
            }
        }
    }

    /// A day or hour that there is not.
    pub(super) fn no_such_moment(&self, index: usize, text: &str) -> Error {
        match self.family {
            Family::MySql => self.incorrect(index, text),
            Family::Postgres => Error::new(Kind::DatetimeField, format!("date/time field value out of range: \"{}\"", shown(text))),
        }
    }

    /// A string longer than the column.
    pub(super) fn too_long(&self, index: usize) -> Error {
        Error::new(
            Kind::TooLong,
            match self.family {
                Family::MySql => format!("Data too long for column '{}' at row {}", self.name, self.row(index)),
                Family::Postgres => format!("value too long for type {}", self.ty.postgres_name()),
            },
        )
    }

    /// A value of a type that this column does not take.
    pub(super) fn mismatch(&self, from: &datafusion::arrow::datatypes::DataType) -> Error {
        let from = SqlType::of_arrow(from);
        match self.family {
            Family::MySql => {
                Error::new(Kind::IncorrectValue, format!("Incorrect {} value for column '{}'", self.ty.mysql_name(), self.name))
            }
            Family::Postgres => Error::new(
                Kind::WrongArguments,
                format!(
                    "column \"{}\" is of type {} but expression is of type {}",
                    self.name,
                    self.ty.postgres_name(),
                    from.postgres_name()
                ),
            )
            .with_hint("rewrite or cast the expression"),
        }
    }
}
