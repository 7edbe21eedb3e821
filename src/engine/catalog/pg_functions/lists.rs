//! Functions over arrays that the engine lacks and that the rewriting of catalog queries needs.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, StructArray};
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;

use super::build::{number, oid_function};
use super::row::{RowFunction, register};

/// The items of a list argument; None: NULL or not a list.
fn items(args: &[ScalarValue]) -> Option<ArrayRef> {
    match args.first()? {
        ScalarValue::List(list) if list.is_valid(0) => Some(list.value(0)),
        _ => None,
    }
}

fn ints(values: impl IntoIterator<Item = i32>) -> ScalarValue {
    let values: Vec<ScalarValue> = values.into_iter().map(|v| ScalarValue::Int32(Some(v))).collect();
    ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Int32))
}

fn pair_fields(item: &DataType) -> Fields {
    vec![Field::new("x", item.clone(), true), Field::new("n", DataType::Int32, true)].into()
}

fn item_type(args: &[DataType]) -> DataType {
    match args.first() {
        Some(DataType::List(field)) => field.data_type().clone(),
        _ => DataType::Null,
    }
}

pub(super) fn register_all(ctx: &SessionContext) {
    // ARRAY(SELECT ..) is an aggregate here, and an aggregate over no rows is NULL.
    let keep = |args: &[DataType]| args.first().cloned().unwrap_or(DataType::Null);
    let or_empty = |args: &[ScalarValue]| match args.first() {
        Some(ScalarValue::List(list)) if list.is_null(0) => ScalarValue::List(ScalarValue::new_list_nullable(&[], &list.value_type())),
        Some(other) => other.clone(),
        None => ScalarValue::Null,
    };
    register(ctx, RowFunction::derived("fg_array_or_empty", keep, or_empty));

    // The same where the rows are known to be none: the engine's make_array() would be an array of no type.
    let no_texts = |_: &[ScalarValue]| ScalarValue::List(ScalarValue::new_list_nullable(&[], &DataType::Utf8));
    register(ctx, RowFunction::new("fg_no_texts", DataType::new_list(DataType::Utf8, true), no_texts));

    // generate_subscripts(list, 1): the second argument is the number of the first item.
    let subscripts = |args: &[ScalarValue]| {
        let base = number(args, 1).unwrap_or(1) as i32;
        match items(args) {
            Some(list) => ints((0..list.len() as i32).map(|i| i + base)),
            None => ints([]),
        }
    };
    register(ctx, RowFunction::new("fg_subscripts", DataType::new_list(DataType::Int32, true), subscripts));

    // information_schema._pg_expandarray(list): (x, n) for each item.
    let pairs = |args: &[DataType]| DataType::new_list(DataType::Struct(pair_fields(&item_type(args))), true);
    let expand = |args: &[ScalarValue]| {
        let item = match args.first() {
            Some(ScalarValue::List(list)) => list.value_type(),
            _ => DataType::Null,
        };
        let fields = pair_fields(&item);
        let Some(list) = items(args) else { return ScalarValue::List(ScalarValue::new_list_nullable(&[], &DataType::Struct(fields))) };
        let numbers: ArrayRef = Arc::new(datafusion::arrow::array::Int32Array::from_iter_values(1..=list.len() as i32));
        let Ok(rows) = StructArray::try_new(fields.clone(), vec![list, numbers], None) else { return ScalarValue::Null };
        let field = Arc::new(Field::new_list_field(DataType::Struct(fields), true));
        let offsets = datafusion::arrow::buffer::OffsetBuffer::from_lengths([rows.len()]);
        ScalarValue::List(Arc::new(datafusion::arrow::array::ListArray::new(field, offsets, Arc::new(rows), None)))
    };
    register(ctx, RowFunction::derived("fg_expandarray", pairs, expand));

    let series = |args: &[ScalarValue]| match (number(args, 0), number(args, 1)) {
        (Some(from), Some(to)) => ints((from..=to).map(|i| i as i32)),
        _ => ints([]),
    };
    register(ctx, RowFunction::new("fg_series", DataType::new_list(DataType::Int32, true), series));

    let upper = |args: &[ScalarValue]| items(args).map(|list| list.len() as i64).filter(|n| *n > 0);
    register(ctx, oid_function("array_upper", upper));
    register(ctx, oid_function("array_lower", move |args| upper(args).map(|_| 1)));
}
