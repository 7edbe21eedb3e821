//! Types: from a table's columns to ORC types when writing, from a file's ORC types to SQL types when reading.

use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use orc_rust::proto::{self, r#type::Kind};

use super::damage::{Damage, damaged};
use crate::error::{Error, Result};
use crate::types::{MAX_DECIMAL_PRECISION, SqlType, UTC, meta};

/// Type attribute that holds the declared [`SqlType`] as JSON.
pub(super) const ATTRIBUTE_TYPE: &str = "flashgate.type";
/// Type attribute that holds the column's id within its table.
pub(super) const ATTRIBUTE_ID: &str = "flashgate.id";
/// User metadata that every file written here carries: the version that wrote it.
pub(super) const WRITER_VERSION: &str = "flashgate.version";

/// Longest `varchar` and `char` that Hive and Spark accept; longer ones are written as `string`.
const MAX_VARCHAR: u32 = 65_535;
const MAX_CHAR: u32 = 255;
/// Most digits of a decimal that a file of version 1.9999 stores as an integer.
const DECIMAL64_DIGITS: u32 = 18;
/// Precision that holds every unsigned 64-bit integer.
const UINT64_DIGITS: u32 = 20;

/// The Arrow type in which a column is encoded: views, dictionaries and odd units become the plain form.
/// An error for a type that no cold column has.
pub(super) fn canonical(name: &str, ty: &DataType) -> Result<DataType> {
    use DataType::*;
    let micros = TimeUnit::Microsecond;
    Ok(match ty {
        Null | Boolean | Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 | Float32 | Float64 | Date32 => ty.clone(),
        Float16 => Float32,
        Utf8 | LargeUtf8 | Utf8View => Utf8,
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => Binary,
        Date64 => Date32,
        Time32(_) | Time64(_) => Time64(micros),
        Timestamp(_, None) => Timestamp(micros, None),
        Timestamp(_, Some(_)) => Timestamp(micros, Some(UTC.into())),
        Decimal32(p, s) | Decimal64(p, s) | Decimal128(p, s) | Decimal256(p, s) if *p <= MAX_DECIMAL_PRECISION => {
            // ORC knows no negative scale.
            let grown = p.saturating_add(s.min(&0).unsigned_abs());
            if grown > MAX_DECIMAL_PRECISION {
                return Err(Error::unsupported(format!("a decimal of {grown} digits (column '{name}')")));
            }
            Decimal128(grown, *s.max(&0))
        }
        Dictionary(_, value) => canonical(name, value)?,
        other => return Err(Error::unsupported(format!("storing a value of type {other} (column '{name}')"))),
    })
}

/// The ORC type of a column of this canonical Arrow type.
pub(super) fn orc_type(field: &Field, canonical: &DataType) -> proto::Type {
    let declared = field.metadata().get(meta::TYPE);
    let hint = declared.and_then(|json| serde_json::from_str::<SqlType>(json).ok());
    let mut ty = proto::Type::default();
    let kind = match canonical {
        DataType::Boolean => Kind::Boolean,
        DataType::Int8 => Kind::Byte,
        DataType::Int16 | DataType::UInt8 => Kind::Short,
        DataType::Int32 | DataType::UInt16 => Kind::Int,
        DataType::Int64 | DataType::UInt32 | DataType::Time64(_) => Kind::Long,
        DataType::Float32 => Kind::Float,
        DataType::Float64 => Kind::Double,
        DataType::Date32 => Kind::Date,
        DataType::Timestamp(_, None) => Kind::Timestamp,
        DataType::Timestamp(_, Some(_)) => Kind::TimestampInstant,
        DataType::Binary => Kind::Binary,
        DataType::UInt64 => {
            (ty.precision, ty.scale) = (Some(UINT64_DIGITS), Some(0));
            Kind::Decimal
        }
        DataType::Decimal128(precision, scale) => {
            (ty.precision, ty.scale) = (Some(u32::from(*precision)), Some(scale.unsigned_abs().into()));
            Kind::Decimal
        }
        _ => match hint {
            Some(SqlType::VarChar { length }) if (1..=MAX_VARCHAR).contains(&length) => {
                ty.maximum_length = Some(length);
                Kind::Varchar
            }
            Some(SqlType::Char { length }) if (1..=MAX_CHAR).contains(&length) => {
                ty.maximum_length = Some(length);
                Kind::Char
            }
            _ => Kind::String,
        },
    };
    ty.set_kind(kind);
    let attribute = |key: &str, value: &String| proto::StringPair { key: Some(key.to_owned()), value: Some(value.clone()) };
    ty.attributes.extend(declared.map(|json| attribute(ATTRIBUTE_TYPE, json)));
    ty.attributes.extend(field.metadata().get(meta::ID).map(|id| attribute(ATTRIBUTE_ID, id)));
    ty
}

/// A top-level column of a file.
#[derive(Debug, Clone)]
pub(super) struct FileColumn {
    pub(super) name: String,
    /// Index in the file's type list, by which streams and statistics name it.
    pub(super) index: u32,
    pub(super) kind: Kind,
    pub(super) precision: u8,
    pub(super) scale: u8,
    length: u32,
    /// A decimal that is stored as integers of 64 bits, without a scale of each.
    pub(super) decimal64: bool,
    /// Why no value of it can be read here: a type that the format did not have, or more digits than fit.
    pub(super) refused: Option<String>,
    /// The declaration, when the writer said more than ORC's own type does.
    declared: Option<SqlType>,
}

impl FileColumn {
    /// The SQL type of the column; None: a nested type.
    pub(super) fn sql_type(&self) -> Option<SqlType> {
        if self.refused.is_some() {
            return None;
        }
        if let Some(declared) = &self.declared {
            return Some(declared.clone());
        }
        Some(match self.kind {
            Kind::Boolean => SqlType::Bool,
            Kind::Byte => SqlType::Int8 { unsigned: false },
            Kind::Short => SqlType::Int16 { unsigned: false },
            Kind::Int => SqlType::Int32 { unsigned: false },
            Kind::Long => SqlType::Int64 { unsigned: false },
            Kind::Float => SqlType::Float32,
            Kind::Double => SqlType::Float64,
            Kind::String => SqlType::Text,
            Kind::Varchar => SqlType::VarChar { length: self.length },
            Kind::Char => SqlType::Char { length: self.length },
            Kind::Binary => SqlType::Blob,
            Kind::Decimal => SqlType::Decimal { precision: self.precision, scale: self.scale as i8 },
            Kind::Date => SqlType::Date,
            Kind::Timestamp => SqlType::DateTime { fsp: 6 },
            Kind::TimestampInstant => SqlType::Timestamp { fsp: 6 },
            Kind::List | Kind::Map | Kind::Struct | Kind::Union => return None,
        })
    }

    /// The type as ORC calls it, for messages.
    pub(super) fn type_name(&self) -> String {
        self.refused.clone().unwrap_or_else(|| self.kind.as_str_name().to_lowercase())
    }
}

/// The top-level columns of a file, from its type list. Checks the tree, so that nothing later can loop or run off its end.
/// `decimal64`: the file's version stores decimals of up to 18 digits as integers.
pub(super) fn file_columns(types: &[proto::Type], decimal64: bool) -> Result<Vec<FileColumn>, Damage> {
    let root = types.first().ok_or_else(|| damaged("it has no types"))?;
    if root.kind() != Kind::Struct || root.subtypes.len() != root.field_names.len() {
        return Err(damaged("its root type is not a struct of named columns"));
    }
    for (at, ty) in types.iter().enumerate() {
        // Children follow their parent (specification, "Types": pre-order numbering).
        if ty.subtypes.iter().any(|&child| child as usize <= at || child as usize >= types.len()) {
            return Err(damaged("its type tree is broken"));
        }
    }
    let mut columns = Vec::with_capacity(root.subtypes.len());
    for (&index, name) in root.subtypes.iter().zip(&root.field_names) {
        let ty = &types[index as usize];
        let number = ty.kind.unwrap_or(0);
        let known = Kind::try_from(number).ok();
        let kind = known.unwrap_or(Kind::Struct);
        let mut refused = known.is_none().then(|| format!("number {number}, which is unknown here,"));
        let attribute = |key: &str| ty.attributes.iter().find(|a| a.key() == key).map(|a| a.value().to_owned());
        // Hive 0.11 wrote decimals without precision.
        let precision = ty.precision.unwrap_or(u32::from(MAX_DECIMAL_PRECISION));
        let scale = ty.scale.unwrap_or(if ty.precision.is_none() { 10 } else { 0 });
        if kind == Kind::Decimal && (precision == 0 || precision > u32::from(MAX_DECIMAL_PRECISION) || scale > precision) {
            refused = Some(format!("decimal({precision},{scale})"));
        }
        // Spark keeps moments without zone as microseconds, and says so.
        let spark = || attribute("spark.sql.catalyst.type").filter(|ty| ty == "timestamp_ntz" && kind == Kind::Long);
        let declared = attribute(ATTRIBUTE_TYPE).and_then(|json| serde_json::from_str(&json).ok());
        let declared = declared.or_else(|| spark().map(|_| SqlType::DateTime { fsp: 6 }));
        columns.push(FileColumn {
            name: name.clone(),
            index,
            kind,
            precision: if kind == Kind::Decimal { precision as u8 } else { 0 },
            scale: if kind == Kind::Decimal { scale as u8 } else { 0 },
            length: ty.maximum_length(),
            decimal64: decimal64 && kind == Kind::Decimal && precision <= DECIMAL64_DIGITS,
            refused,
            declared: declared.filter(|_| ty.subtypes.is_empty()),
        });
    }
    Ok(columns)
}

/// The Arrow schema of the columns that are not nested.
pub(super) fn arrow_schema(columns: &[FileColumn]) -> Schema {
    let fields = columns.iter().filter_map(|c| Some(Field::new(&c.name, c.sql_type()?.arrow(), true)));
    Schema::new(fields.collect::<Vec<_>>())
}
