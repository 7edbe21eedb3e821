//! The shape of a virtual table, read from a text of `name:type` words, and rows that fill it.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray, TimestampMicrosecondArray, UInt64Array, new_null_array,
};
use datafusion::arrow::datatypes::{DataType, Field, Int16Type, Int32Type, Schema, SchemaRef, TimeUnit};

use crate::error::{Error, Result};
use crate::types::{Column, SqlType, fold, meta};

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(String),
    /// Microseconds since 1970: of the local clock for DATETIME, UTC for a moment with zone.
    Micros(i64),
    Ints(Vec<i64>),
    Texts(Vec<String>),
}

macro_rules! cell_from {
    ($($ty:ty => $variant:expr),* $(,)?) => { $(impl From<$ty> for Cell { fn from(v: $ty) -> Cell { $variant(v) } })* };
}

cell_from! {
    bool => Cell::Bool,
    i64 => Cell::Int,
    i32 => |v| Cell::Int(i64::from(v)),
    u32 => |v| Cell::Int(i64::from(v)),
    i16 => |v| Cell::Int(i64::from(v)),
    u64 => Cell::UInt,
    f64 => Cell::Float,
    String => Cell::Text,
    &str => |v: &str| Cell::Text(v.to_owned()),
    &String => |v: &String| Cell::Text(v.clone()),
    Vec<i64> => Cell::Ints,
    Vec<String> => Cell::Texts,
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(v: Option<T>) -> Cell {
        v.map_or(Cell::Null, Into::into)
    }
}

/// The shape of one virtual table.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Declared name.
    pub name: String,
    /// With the declaration of every column as metadata.
    pub schema: SchemaRef,
    /// Declared column types and, as a schema cannot know it, whether an array counts from zero.
    pub columns: Vec<(String, SqlType)>,
}

/// The SQL type that a word of a layout stands for.
fn sql_type(word: &str) -> SqlType {
    let list = |item: SqlType| SqlType::List(Box::new(item));
    let int4 = SqlType::Int32 { unsigned: false };
    let int2 = SqlType::Int16 { unsigned: false };
    match word {
        "oid" | "regproc" | "xid" | "int4" | "int" => int4,
        "uint" => SqlType::Int32 { unsigned: true },
        "int2" => int2,
        "int8" | "bigint" => SqlType::Int64 { unsigned: false },
        "ubigint" => SqlType::Int64 { unsigned: true },
        "bool" => SqlType::Bool,
        "float4" => SqlType::Float32,
        "float8" | "double" => SqlType::Float64,
        "timestamptz" => SqlType::Timestamp { fsp: 6 },
        "timestamp" => SqlType::Timestamp { fsp: 0 },
        "datetime" => SqlType::DateTime { fsp: 0 },
        "date" => SqlType::Date,
        "bytea" => SqlType::Blob,
        "yesno" => SqlType::VarChar { length: 3 },
        "varchar" | "name" | "text" | "char" => SqlType::Text,
        "oid[]" | "oidvector" => list(int4),
        "int2[]" | "int2vector" => list(int2),
        "text[]" | "name[]" | "char[]" => list(SqlType::Text),
        "float4[]" => list(SqlType::Float32),
        "float8[]" => list(SqlType::Float64),
        "bool[]" => list(SqlType::Bool),
        word => match word.strip_prefix('v').and_then(|n| n.parse().ok()) {
            Some(length) => SqlType::VarChar { length },
            None => SqlType::Text,
        },
    }
}

impl Layout {
    /// From `column:type?` words; `?` means that it may be NULL.
    pub fn parse(schema: &str, name: &str, columns: &str) -> Layout {
        let mut fields = Vec::new();
        let mut types = Vec::new();
        for word in columns.split_whitespace() {
            let (column, ty) = word.split_once(':').unwrap_or((word, "text"));
            let (ty, nullable) = ty.strip_suffix('?').map_or((ty, false), |ty| (ty, true));
            let ty = sql_type(ty);
            let metadata: HashMap<String, String> = [
                (meta::TYPE.to_owned(), serde_json::to_string(&ty).unwrap_or_default()),
                (meta::NAME.to_owned(), column.to_owned()),
                (meta::TABLE.to_owned(), name.to_owned()),
                (meta::DATABASE.to_owned(), schema.to_owned()),
            ]
            .into();
            // Arrow's list items are nullable, whatever the column says.
            fields.push(Field::new(fold(column), ty.arrow(), nullable).with_metadata(metadata));
            types.push((column.to_owned(), ty));
        }
        Layout { name: name.to_owned(), schema: Arc::new(Schema::new(fields)), columns: types }
    }

    /// From (label, type) pairs: columns of a SHOW, which may all be NULL and carry no table.
    pub fn nullable(columns: &[(&str, &str)]) -> Layout {
        let types: Vec<(String, SqlType)> = columns.iter().map(|(name, ty)| ((*name).to_owned(), sql_type(ty))).collect();
        let fields: Vec<Field> = types.iter().map(|(name, ty)| Field::new(fold(name), ty.arrow(), true)).collect();
        Layout { name: String::new(), schema: Arc::new(Schema::new(fields)), columns: types }
    }

    /// The columns as a table would declare them.
    pub fn declared(&self) -> Vec<Column> {
        let fields = self.columns.iter().zip(self.schema.fields());
        fields
            .map(|((name, ty), field)| Column {
                id: 0,
                name: name.clone(),
                ty: ty.clone(),
                nullable: field.is_nullable(),
                default: None,
                comment: String::new(),
            })
            .collect()
    }

    /// No rows yet.
    pub fn rows(&self) -> RowSet<'_> {
        let by_name = self.schema.fields().iter().enumerate().map(|(i, f)| (f.name().as_str(), i)).collect();
        RowSet { layout: self, by_name, columns: vec![Vec::new(); self.columns.len()], len: 0 }
    }
}

/// Rows of a virtual table in the making.
pub struct RowSet<'a> {
    layout: &'a Layout,
    by_name: HashMap<&'a str, usize>,
    columns: Vec<Vec<Cell>>,
    len: usize,
}

impl RowSet<'_> {
    /// Adds a row by folded column names. A column that is not named gets NULL where it may, else 0, false, ''.
    pub fn push<const N: usize>(&mut self, cells: [(&str, Cell); N]) {
        for (name, cell) in cells {
            debug_assert!(self.by_name.contains_key(name), "{} has no column {name}", self.layout.name);
            if let Some(&i) = self.by_name.get(name) {
                self.columns[i].push(cell);
            }
        }
        self.len += 1;
        for (i, column) in self.columns.iter_mut().enumerate() {
            if column.len() < self.len {
                column.push(if self.layout.schema.field(i).is_nullable() { Cell::Null } else { zero(&self.layout.columns[i].1) });
            }
        }
    }

    /// Adds a row in the order of the columns.
    pub fn push_all(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let mut cells = cells.into_iter();
        for column in &mut self.columns {
            column.push(cells.next().unwrap_or(Cell::Null));
        }
        self.len += 1;
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The declared shape.
    pub fn layout(&self) -> &Layout {
        self.layout
    }

    /// As a batch.
    pub fn finish(self) -> Result<RecordBatch> {
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (cells, field) in self.columns.into_iter().zip(self.layout.schema.fields()) {
            arrays.push(array(cells, field.data_type()));
        }
        let options = datafusion::arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(self.len));
        RecordBatch::try_new_with_options(Arc::clone(&self.layout.schema), arrays, &options)
            .map_err(|e| Error::internal(format!("virtual table {}: {e}", self.layout.name)))
    }
}

fn zero(ty: &SqlType) -> Cell {
    match ty {
        SqlType::Bool => Cell::Bool(false),
        SqlType::Float32 | SqlType::Float64 => Cell::Float(0.0),
        SqlType::Int64 { unsigned: true } => Cell::UInt(0),
        SqlType::Int16 { .. } | SqlType::Int32 { .. } | SqlType::Int64 { .. } | SqlType::Date => Cell::Int(0),
        SqlType::DateTime { .. } | SqlType::Timestamp { .. } => Cell::Micros(0),
        SqlType::List(item) if **item == SqlType::Text => Cell::Texts(Vec::new()),
        SqlType::List(_) => Cell::Ints(Vec::new()),
        _ => Cell::Text(String::new()),
    }
}

fn int(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Int(i) | Cell::Micros(i) => Some(*i),
        Cell::UInt(u) => i64::try_from(*u).ok(),
        Cell::Bool(b) => Some(i64::from(*b)),
        _ => None,
    }
}

fn float(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Float(f) => Some(*f),
        other => int(other).map(|i| i as f64),
    }
}

fn array(cells: Vec<Cell>, ty: &DataType) -> ArrayRef {
    let ints = || cells.iter().map(int);
    match ty {
        DataType::Boolean => Arc::new(cells.iter().map(|c| if let Cell::Bool(b) = c { Some(*b) } else { None }).collect::<BooleanArray>()),
        DataType::Int16 => Arc::new(ints().map(|i| i.and_then(|i| i16::try_from(i).ok())).collect::<Int16Array>()),
        DataType::Int32 => Arc::new(ints().map(|i| i.and_then(|i| i32::try_from(i).ok())).collect::<Int32Array>()),
        DataType::UInt32 => {
            Arc::new(ints().map(|i| i.and_then(|i| u32::try_from(i).ok())).collect::<datafusion::arrow::array::UInt32Array>())
        }
        DataType::Int64 => Arc::new(ints().collect::<Int64Array>()),
        DataType::UInt64 => Arc::new(
            cells
                .iter()
                .map(|c| if let Cell::UInt(u) = c { Some(*u) } else { int(c).and_then(|i| u64::try_from(i).ok()) })
                .collect::<UInt64Array>(),
        ),
        DataType::Float32 => Arc::new(cells.iter().map(|c| float(c).map(|f| f as f32)).collect::<Float32Array>()),
        DataType::Float64 => Arc::new(cells.iter().map(float).collect::<Float64Array>()),
        DataType::Date32 => Arc::new(ints().map(|i| i.and_then(|i| i32::try_from(i).ok())).collect::<Date32Array>()),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            Arc::new(ints().collect::<TimestampMicrosecondArray>().with_timezone_opt(zone.clone()))
        }
        DataType::Utf8 => {
            Arc::new(cells.iter().map(|c| if let Cell::Text(t) = c { Some(t.as_str()) } else { None }).collect::<StringArray>())
        }
        DataType::List(item) => match item.data_type() {
            DataType::Int16 => Arc::new(ListArray::from_iter_primitive::<Int16Type, _, _>(
                cells.iter().map(|c| list(c).map(|l| l.iter().map(|i| i16::try_from(*i).ok()).collect::<Vec<_>>())),
            )),
            DataType::Int32 => Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(
                cells.iter().map(|c| list(c).map(|l| l.iter().map(|i| i32::try_from(*i).ok()).collect::<Vec<_>>())),
            )),
            DataType::Utf8 => {
                let mut builder = datafusion::arrow::array::ListBuilder::new(datafusion::arrow::array::StringBuilder::new());
                for cell in &cells {
                    match cell {
                        Cell::Texts(texts) => {
                            texts.iter().for_each(|t| builder.values().append_value(t));
                            builder.append(true);
                        }
                        _ => builder.append(false),
                    }
                }
                Arc::new(builder.finish())
            }
            _ => new_null_array(ty, cells.len()),
        },
        other => new_null_array(other, cells.len()),
    }
}

fn list(cell: &Cell) -> Option<&Vec<i64>> {
    match cell {
        Cell::Ints(list) => Some(list),
        _ => None,
    }
}
