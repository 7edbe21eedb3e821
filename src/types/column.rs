//! Columns: of a cold table as declared, and of a result as a wire describes it.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use serde::{Deserialize, Serialize};

use super::SqlType;

/// Keys of an Arrow field's metadata.
pub mod meta {
    /// The [`super::SqlType`] as JSON.
    pub const TYPE: &str = "fg.type";
    /// The column's name as declared.
    pub const NAME: &str = "fg.name";
    /// The table's name.
    pub const TABLE: &str = "fg.table";
    /// The database's name.
    pub const DATABASE: &str = "fg.database";
    /// The column's id within its table: a decimal number.
    pub const ID: &str = "fg.id";
}

/// What a column gets when an INSERT does not name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Default {
    /// A constant, as text in the column's own form.
    Value(String),
    /// The time of the statement: `CURRENT_TIMESTAMP`, `now()`.
    Now,
    /// The date of the statement: `CURRENT_DATE`.
    Today,
    /// A fresh UUID: `uuid()`, `gen_random_uuid()`.
    Uuid,
}

/// One column of a cold table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Never reused within the table; what a file's column is found by after a rename.
    pub id: u32,
    /// As declared, case kept.
    pub name: String,
    /// Declared type.
    pub ty: SqlType,
    /// May it be NULL?
    pub nullable: bool,
    /// For rows that do not name it; None means NULL.
    pub default: Option<Default>,
    /// `COMMENT '..'`.
    pub comment: String,
}

impl Column {
    /// The Arrow field the engine sees: the folded name, and the declaration as metadata.
    pub fn field(&self, database: &str, table: &str) -> Field {
        let type_json = serde_json::to_string(&self.ty).unwrap_or_default();
        Field::new(super::fold(&self.name), self.ty.arrow(), self.nullable).with_metadata(
            [
                (meta::TYPE.to_owned(), type_json),
                (meta::NAME.to_owned(), self.name.clone()),
                (meta::TABLE.to_owned(), table.to_owned()),
                (meta::DATABASE.to_owned(), database.to_owned()),
                (meta::ID.to_owned(), self.id.to_string()),
            ]
            .into(),
        )
    }
}

/// One column of a result, as the wires describe it.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnInfo {
    /// The label that the client asked for.
    pub label: String,
    /// Where it comes from when it is a plain table column: (database, table, column as declared, column id).
    pub origin: Option<Origin>,
    /// SQL type.
    pub ty: SqlType,
    /// The Arrow type of the batches.
    pub arrow: DataType,
    /// May it be NULL?
    pub nullable: bool,
    /// Is it a text that is known to be JSON? MariaDB says so beside the type.
    pub checked_json: bool,
}

/// The table column that a result column shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Database.
    pub database: String,
    /// Table.
    pub table: String,
    /// What the query calls the table.
    pub alias: String,
    /// Column as declared.
    pub column: String,
    /// Column id.
    pub id: u32,
}

impl ColumnInfo {
    /// From a field of the engine's output, labelled as the client wrote it.
    pub fn of_field(field: &FieldRef, label: impl Into<String>) -> ColumnInfo {
        let metadata = field.metadata();
        let declared = metadata.get(meta::TYPE).and_then(|json| serde_json::from_str::<SqlType>(json).ok());
        // An expression may keep a column's metadata but change its type: the declaration then no longer holds.
        let ty = match declared {
            Some(ty) if &ty.arrow() == field.data_type() => ty,
            _ => SqlType::of_arrow(field.data_type()),
        };
        let origin = match (metadata.get(meta::DATABASE), metadata.get(meta::TABLE), metadata.get(meta::NAME)) {
            (Some(database), Some(table), Some(column)) => Some(Origin {
                database: database.clone(),
                table: table.clone(),
                alias: table.clone(),
                column: column.clone(),
                id: metadata.get(meta::ID).and_then(|id| id.parse().ok()).unwrap_or(0),
            }),
            _ => None,
        };
        ColumnInfo { label: label.into(), origin, ty, arrow: field.data_type().clone(), nullable: field.is_nullable(), checked_json: false }
    }

    /// A result column of our own making.
    pub fn new(label: impl Into<String>, ty: SqlType) -> ColumnInfo {
        let arrow = ty.arrow();
        ColumnInfo { label: label.into(), origin: None, ty, arrow, nullable: true, checked_json: false }
    }

    /// The Arrow field of this column.
    pub fn field(&self) -> FieldRef {
        Arc::new(Field::new(&self.label, self.arrow.clone(), self.nullable))
    }
}
