//! How a scalar function is written down: a row with its name, its arity, its type and what it does to whole arrays.
//!
//! Arguments come in any type and are read as the function needs them ([`Call::text`], [`Call::int`], ..), in the
//! dialect's manner: MySQL takes what it can from a text and gives NULL for a wrong date, PostgreSQL refuses.

use std::sync::Arc;

use datafusion::arrow::array::*;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::*;
use datafusion::logical_expr::Volatility;
use datafusion::scalar::ScalarValue;

use super::facts::Facts;
use crate::error::{Error, Result};
use crate::types::coerce::civil::{DAY, utc_to_civil};
use crate::types::coerce::moment::{mysql_number, mysql_time, parse_moment};
use crate::types::coerce::{self, Family, parse_decimal, parse_integer_prefix};
use crate::types::{SqlType, UTC, meta};

/// How [`SqlType::Json`] is written in a field's metadata.
pub(super) const JSON_TYPE: &str = "\"Json\"";

/// Arrow's type of a civil moment (MySQL DATETIME, PostgreSQL timestamp).
pub const CIVIL: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// Arrow's type of a moment with zone.
pub fn zoned() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

/// What a function returns, from its argument types and constant arguments.
pub type TypeOf = fn(&[DataType], &[Option<&ScalarValue>]) -> Result<DataType>;
/// What a function does.
pub type Eval = fn(&Call<'_>) -> Result<ArrayRef>;

/// One function.
pub struct Spec {
    /// Lower case.
    pub name: &'static str,
    /// Fewest arguments.
    pub least: usize,
    /// Most arguments.
    pub most: usize,
    /// Its type.
    pub returns: TypeOf,
    /// Its work.
    pub eval: Eval,
    /// Does it give the same for the same? Volatile ones run for every row.
    pub volatility: Volatility,
}

/// No upper limit of arguments.
pub const MANY: usize = usize::MAX;

/// Adds a function under each of its names (`left|lcase`).
pub fn add(out: &mut Vec<Spec>, names: &'static str, arity: std::ops::RangeInclusive<usize>, returns: TypeOf, eval: Eval) {
    for name in names.split('|') {
        out.push(Spec { name, least: *arity.start(), most: *arity.end(), returns, eval, volatility: Volatility::Immutable });
    }
}

/// Adds a function that may give something else every time.
pub fn add_volatile(out: &mut Vec<Spec>, names: &'static str, arity: std::ops::RangeInclusive<usize>, returns: TypeOf, eval: Eval) {
    for name in names.split('|') {
        out.push(Spec { name, least: *arity.start(), most: *arity.end(), returns, eval, volatility: Volatility::Volatile });
    }
}

/// Always text.
pub fn text(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Utf8)
}
/// Always a 64-bit integer.
pub fn int(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Int64)
}
/// Always a double.
pub fn float(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Float64)
}
/// Always a truth value.
pub fn truth(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Boolean)
}
/// Always bytes.
pub fn bytes(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Binary)
}
/// Always a date.
pub fn date(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Date32)
}
/// Always a moment without zone.
pub fn civil(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(CIVIL)
}
/// Always a moment with zone.
pub fn stamp(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(zoned())
}
/// Always a time of day.
pub fn time(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Time64(TimeUnit::Microsecond))
}
/// The first argument's type.
pub fn same(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(types.first().cloned().unwrap_or(DataType::Null))
}

/// One evaluation: the arguments as arrays of the same length.
pub struct Call<'a> {
    /// In plain form ([`coerce::plain`]).
    pub args: Vec<ArrayRef>,
    /// Rows to answer.
    pub rows: usize,
    /// Of the session.
    pub facts: &'a Facts,
    /// What to answer with.
    pub returns: &'a DataType,
    /// The function's name, for errors.
    pub name: &'a str,
    /// The arguments' fields.
    pub(super) fields: &'a [FieldRef],
}

/// A cell of an array; None is NULL.
pub trait At {
    /// What a cell holds.
    type Item<'a>
    where
        Self: 'a;
    /// The cell of row `i`.
    fn at(&self, i: usize) -> Option<Self::Item<'_>>;
}

impl At for StringArray {
    type Item<'a> = &'a str;
    fn at(&self, i: usize) -> Option<&str> {
        self.is_valid(i).then(|| self.value(i))
    }
}

impl At for BinaryArray {
    type Item<'a> = &'a [u8];
    fn at(&self, i: usize) -> Option<&[u8]> {
        self.is_valid(i).then(|| self.value(i))
    }
}

impl At for BooleanArray {
    type Item<'a> = bool;
    fn at(&self, i: usize) -> Option<bool> {
        self.is_valid(i).then(|| self.value(i))
    }
}

impl<T: ArrowPrimitiveType> At for PrimitiveArray<T> {
    type Item<'a> = T::Native;
    fn at(&self, i: usize) -> Option<T::Native> {
        self.is_valid(i).then(|| self.value(i))
    }
}

impl Call<'_> {
    /// How many arguments came.
    pub fn count(&self) -> usize {
        self.args.len()
    }

    /// The same call with other arguments and another type to answer with.
    pub fn with<'c>(&'c self, args: Vec<ArrayRef>, returns: &'c DataType) -> Call<'c> {
        Call { args, rows: self.rows, facts: self.facts, returns, name: self.name, fields: self.fields }
    }

    /// Argument `i` as the type's output function writes it in PostgreSQL, where a truth is `t` or `f`; as text elsewhere.
    pub fn output(&self, i: usize) -> Result<StringArray> {
        let array = coerce::output_text(&self.args[i], self.facts.family, &self.facts.zone)?;
        Ok(match array.as_string_opt::<i32>() {
            Some(strings) => strings.clone(),
            None => StringArray::new_null(self.rows),
        })
    }

    /// Is argument `i` a text that is JSON by its declaration or its function?
    pub fn is_json(&self, i: usize) -> bool {
        self.fields.get(i).and_then(|f| f.metadata().get(meta::TYPE)).is_some_and(|ty| ty == JSON_TYPE)
    }

    /// Is this a MySQL session?
    pub fn is_mysql(&self) -> bool {
        self.facts.family == Family::MySql
    }

    /// The digits of the second that argument `i` was declared with.
    pub fn digits(&self, i: usize) -> Option<u8> {
        self.fields.get(i).and_then(|field| declared_digits(field))
    }

    /// Argument `i` as text.
    pub fn text(&self, i: usize) -> Result<StringArray> {
        let array = coerce::text_of(&self.args[i], self.facts.family, &self.facts.zone)?;
        Ok(match array.as_string_opt::<i32>() {
            Some(strings) => strings.clone(),
            None => StringArray::new_null(self.rows),
        })
    }

    /// Argument `i` as bytes; text gives its UTF-8.
    pub fn bytes(&self, i: usize) -> Result<BinaryArray> {
        if let Some(array) = self.args[i].as_binary_opt::<i32>() {
            return Ok(array.clone());
        }
        Ok(BinaryArray::from_iter(self.text(i)?.iter()))
    }

    /// Argument `i` as a double.
    pub fn float(&self, i: usize) -> Result<Float64Array> {
        let array = &self.args[i];
        let wide = match array.data_type() {
            DataType::Null => return Ok(Float64Array::new_null(self.rows)),
            DataType::Utf8 | DataType::Binary if self.is_mysql() => {
                let text = self.text(i)?;
                return Ok(text.iter().map(|cell| cell.map(|s| parse_integer_prefix(s).parse().unwrap_or(0.0))).collect());
            }
            DataType::Decimal128(..) => return Ok(coerce::doubles_of_decimals(array)),
            ty if ty.is_numeric() || ty == &DataType::Boolean => {
                cast(array, &DataType::Float64).map_err(|e| Error::internal(e.to_string()))?
            }
            DataType::Date32 | DataType::Timestamp(..) | DataType::Time64(_) if self.is_mysql() => {
                return Ok(self.moments_in_micros(i)?.into_iter().map(|cell| cell.map(|v| v as f64 / 1e6)).collect());
            }
            _ => coerce::cast_to(array, &SqlType::Float64, self.facts.family, &self.facts.zone)?,
        };
        Ok(wide.as_primitive::<Float64Type>().clone())
    }

    /// Argument `i` as a 64-bit integer, rounded; what is beyond its range is NULL.
    pub fn int(&self, i: usize) -> Result<Int64Array> {
        let array = &self.args[i];
        Ok(match array.data_type() {
            DataType::Null => Int64Array::new_null(self.rows),
            DataType::Int64 => array.as_primitive::<Int64Type>().clone(),
            DataType::Utf8 | DataType::Binary if self.is_mysql() => {
                let text = self.text(i)?;
                text.iter().map(|cell| cell.and_then(integer_prefix).and_then(|n| i64::try_from(n).ok())).collect()
            }
            ty if ty.is_integer() || ty == &DataType::Boolean => {
                cast(array, &DataType::Int64).map_err(|e| Error::internal(e.to_string()))?.as_primitive::<Int64Type>().clone()
            }
            _ => {
                let wide = coerce::cast_to(array, &SqlType::Int64 { unsigned: false }, self.facts.family, &self.facts.zone)?;
                wide.as_primitive::<Int64Type>().clone()
            }
        })
    }

    /// Argument `i` as a truth value: not zero.
    pub fn truth(&self, i: usize) -> Result<BooleanArray> {
        if let Some(array) = self.args[i].as_boolean_opt() {
            return Ok(array.clone());
        }
        Ok(self.float(i)?.iter().map(|cell| cell.map(|v| v != 0.0)).collect())
    }

    /// Argument `i` as civil microseconds in the session's zone.
    pub fn civil(&self, i: usize) -> Result<Int64Array> {
        let (array, zone) = (&self.args[i], &self.facts.zone);
        Ok(match array.data_type() {
            DataType::Null => Int64Array::new_null(self.rows),
            DataType::Date32 => array.as_primitive::<Date32Type>().iter().map(|d| d.map(|d| i64::from(d) * DAY)).collect(),
            DataType::Timestamp(_, None) => array.as_primitive::<TimestampMicrosecondType>().iter().collect(),
            DataType::Timestamp(_, Some(_)) => {
                array.as_primitive::<TimestampMicrosecondType>().iter().map(|v| v.map(|v| utc_to_civil(v, zone))).collect()
            }
            DataType::Time64(_) => {
                let today = utc_to_civil(self.facts.now_micros, zone).div_euclid(DAY) * DAY;
                array.as_primitive::<Time64MicrosecondType>().iter().map(|v| v.map(|v| today + v)).collect()
            }
            ty if self.is_mysql() && ty.is_integer() => self
                .int(i)?
                .iter()
                .map(|cell| cell.and_then(|n| mysql_number(n).ok()).and_then(|m| m.civil_in(zone, Family::MySql)))
                .collect(),
            _ if self.is_mysql() => self
                .text(i)?
                .iter()
                .map(|cell| cell.and_then(|s| parse_moment(s, Family::MySql, zone).ok()).and_then(|m| m.civil_in(zone, Family::MySql)))
                .collect(),
            _ => {
                let array = coerce::cast_to(array, &SqlType::DateTime { fsp: 6 }, self.facts.family, zone)?;
                array.as_primitive::<TimestampMicrosecondType>().iter().collect()
            }
        })
    }

    /// Argument `i` as a time of day or span, in microseconds.
    pub fn span(&self, i: usize) -> Result<Int64Array> {
        let array = &self.args[i];
        Ok(match array.data_type() {
            DataType::Time64(_) => array.as_primitive::<Time64MicrosecondType>().iter().collect(),
            DataType::Duration(TimeUnit::Microsecond) => array.as_primitive::<DurationMicrosecondType>().iter().collect(),
            DataType::Date32 | DataType::Timestamp(..) => self.civil(i)?.iter().map(|v| v.map(|v| v.rem_euclid(DAY))).collect(),
            _ => self.text(i)?.iter().map(|cell| cell.and_then(|s| mysql_time(s).ok())).collect(),
        })
    }

    /// Argument `i`, the same for every row: its text in lower case. For units and modes.
    pub fn word(&self, i: usize) -> Result<String> {
        Ok(self.text(i)?.at(0).unwrap_or_default().to_lowercase())
    }

    /// A text for each row.
    pub fn texts<S: AsRef<str>>(&self, f: impl FnMut(usize) -> Option<S>) -> Result<ArrayRef> {
        let mut out = StringBuilder::with_capacity(self.rows, self.rows * 16);
        (0..self.rows).map(f).for_each(|cell| out.append_option(cell));
        Ok(Arc::new(out.finish()))
    }

    /// Bytes for each row.
    pub fn binaries<B: AsRef<[u8]>>(&self, f: impl FnMut(usize) -> Option<B>) -> Result<ArrayRef> {
        let mut out = BinaryBuilder::new();
        (0..self.rows).map(f).for_each(|cell| out.append_option(cell));
        Ok(Arc::new(out.finish()))
    }

    /// An integer for each row.
    pub fn ints(&self, f: impl FnMut(usize) -> Option<i64>) -> Result<ArrayRef> {
        Ok(Arc::new((0..self.rows).map(f).collect::<Int64Array>()))
    }

    /// A double for each row; what is no number is NULL.
    pub fn floats(&self, f: impl FnMut(usize) -> Option<f64>) -> Result<ArrayRef> {
        Ok(Arc::new((0..self.rows).map(f).collect::<Float64Array>()))
    }

    /// A truth value for each row.
    pub fn truths(&self, f: impl FnMut(usize) -> Option<bool>) -> Result<ArrayRef> {
        Ok(Arc::new((0..self.rows).map(f).collect::<BooleanArray>()))
    }

    /// A civil moment for each row.
    pub fn civils(&self, f: impl FnMut(usize) -> Option<i64>) -> Result<ArrayRef> {
        Ok(Arc::new((0..self.rows).map(f).collect::<TimestampMicrosecondArray>()))
    }

    /// A moment (UTC microseconds) for each row.
    pub fn stamps(&self, f: impl FnMut(usize) -> Option<i64>) -> Result<ArrayRef> {
        Ok(Arc::new((0..self.rows).map(f).collect::<TimestampMicrosecondArray>().with_timezone(UTC)))
    }

    /// A date (days) for each row.
    pub fn dates(&self, f: impl FnMut(usize) -> Option<i64>) -> Result<ArrayRef> {
        let mut f = f;
        Ok(Arc::new((0..self.rows).map(|i| f(i).and_then(|d| i32::try_from(d).ok())).collect::<Date32Array>()))
    }

    /// A time of day for each row.
    pub fn times(&self, f: impl FnMut(usize) -> Option<i64>) -> Result<ArrayRef> {
        Ok(Arc::new((0..self.rows).map(f).collect::<Time64MicrosecondArray>()))
    }

    /// A decimal of the declared return type for each row.
    pub fn decimals(&self, f: impl FnMut(usize) -> Option<i128>) -> Result<ArrayRef> {
        let DataType::Decimal128(p, s) = self.returns else {
            return Err(Error::internal(format!("{} does not return a decimal", self.name)));
        };
        let array = (0..self.rows).map(f).collect::<Decimal128Array>().with_precision_and_scale(*p, *s);
        Ok(Arc::new(array.map_err(|e| Error::internal(e.to_string()))?))
    }
}

/// The digits of the second that a field was declared with.
pub fn declared_digits(field: &Field) -> Option<u8> {
    let ty: SqlType = serde_json::from_str(field.metadata().get(meta::TYPE)?).ok()?;
    match ty {
        SqlType::DateTime { fsp } | SqlType::Timestamp { fsp } | SqlType::Time { fsp } if &ty.arrow() == field.data_type() => Some(fsp),
        _ => None,
    }
}

/// The integer that MySQL takes from the beginning of a text.
pub fn integer_prefix(text: &str) -> Option<i128> {
    let (value, scale) = parse_decimal(parse_integer_prefix(text))?;
    coerce::rescale(value, scale, 0)
}
