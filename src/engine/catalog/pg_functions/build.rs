//! Functions from closures over single values, by the type that they give.

use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

use super::row::RowFunction;

/// An argument as text.
pub(super) fn text(args: &[ScalarValue], i: usize) -> Option<&str> {
    match args.get(i)? {
        ScalarValue::Utf8(Some(t)) | ScalarValue::LargeUtf8(Some(t)) | ScalarValue::Utf8View(Some(t)) => Some(t),
        _ => None,
    }
}

/// An argument as a whole number.
pub(super) fn number(args: &[ScalarValue], i: usize) -> Option<i64> {
    match args.get(i)? {
        ScalarValue::Int64(v) => *v,
        ScalarValue::Int32(v) => v.map(i64::from),
        ScalarValue::Int16(v) => v.map(i64::from),
        ScalarValue::Int8(v) => v.map(i64::from),
        ScalarValue::UInt64(v) => v.and_then(|v| i64::try_from(v).ok()),
        ScalarValue::UInt32(v) => v.map(i64::from),
        other => text(std::slice::from_ref(other), 0)?.trim().parse().ok(),
    }
}

fn of_text(value: Option<String>) -> ScalarValue {
    ScalarValue::Utf8(value)
}

fn of_oid(value: Option<i64>) -> ScalarValue {
    ScalarValue::Int32(value.and_then(|v| i32::try_from(v).ok()))
}

/// A text function.
pub(super) fn text_function(name: &'static str, eval: impl Fn(&[ScalarValue]) -> Option<String> + Send + Sync + 'static) -> RowFunction {
    RowFunction::new(name, DataType::Utf8, move |args| of_text(eval(args)))
}

/// A function that gives an OID.
pub(super) fn oid_function(name: &'static str, eval: impl Fn(&[ScalarValue]) -> Option<i64> + Send + Sync + 'static) -> RowFunction {
    RowFunction::new(name, DataType::Int32, move |args| of_oid(eval(args)))
}

/// A function that gives an int8.
pub(super) fn bigint_function(name: &'static str, eval: impl Fn(&[ScalarValue]) -> Option<i64> + Send + Sync + 'static) -> RowFunction {
    RowFunction::new(name, DataType::Int64, move |args| ScalarValue::Int64(eval(args)))
}

/// A boolean function.
pub(super) fn bool_function(name: &'static str, eval: impl Fn(&[ScalarValue]) -> Option<bool> + Send + Sync + 'static) -> RowFunction {
    RowFunction::new(name, DataType::Boolean, move |args| ScalarValue::Boolean(eval(args)))
}
