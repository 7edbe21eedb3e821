//! Functions of PostgreSQL over arrays (manual, section 9.19), where NULL is an element like any other and two NULLs are the
//! same.

use std::sync::Arc;

use datafusion::arrow::array::*;
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::kernels::cmp;
use datafusion::arrow::compute::{cast, concat, take};
use datafusion::arrow::datatypes::*;
use datafusion::logical_expr::type_coercion::binary::type_union_coercion;
use datafusion::scalar::ScalarValue;

use super::scalar::{At, Call, Spec, add as row, text};
use crate::error::{Error, Kind, Result};
use crate::types::coerce::{self, output_text};
use crate::types::{Family, SqlType};

pub(super) fn add(out: &mut Vec<Spec>) {
    row(
        out,
        "array_remove",
        2..=2,
        |t, _| list_type(t, &[0], &[1]),
        |c| {
            let wanted = Lists::new(c, &[0], &[1])?;
            let same = wanted.same(0)?;
            wanted.rebuild(c, |i, j| if same.value(j) { None } else { Some(wanted.own(i, j)) })
        },
    );
    row(
        out,
        "array_replace",
        3..=3,
        |t, _| list_type(t, &[0], &[1, 2]),
        |c| {
            let lists = Lists::new(c, &[0], &[1, 2])?;
            let same = lists.same(0)?;
            lists.rebuild(c, |i, j| Some(if same.value(j) { lists.element(1, i) } else { lists.own(i, j) }))
        },
    );
    row(
        out,
        "array_position",
        2..=3,
        |_, _| Ok(DataType::Int32),
        |c| {
            let lists = Lists::new(c, &[0], &[1])?;
            let same = lists.same(0)?;
            let from = if c.count() > 2 { Some(c.int(2)?) } else { None };
            c.ints(|i| {
                let first = match &from {
                    Some(from) => from.at(i)?.max(1) - 1,
                    None => 0,
                };
                let range = lists.range(i)?;
                let found = range.clone().skip(usize::try_from(first).ok()?).find(|j| same.value(*j));
                found.map(|j| (j - range.start) as i64 + 1)
            })
        },
    );
    row(
        out,
        "array_positions",
        2..=2,
        |_, _| Ok(DataType::new_list(DataType::Int32, true)),
        |c| {
            let lists = Lists::new(c, &[0], &[1])?;
            let same = lists.same(0)?;
            let mut out = ListBuilder::new(Int32Builder::new());
            for i in 0..c.rows {
                let Some(range) = lists.range(i) else {
                    out.append_null();
                    continue;
                };
                let start = range.start;
                range.filter(|j| same.value(*j)).for_each(|j| out.values().append_value((j - start) as i32 + 1));
                out.append(true);
            }
            Ok(Arc::new(out.finish()))
        },
    );
    row(out, "array_append", 2..=2, |t, _| list_type(t, &[0], &[1]), |c| added(c, 0, 1));
    row(out, "array_prepend", 2..=2, |t, _| list_type(t, &[1], &[0]), |c| added(c, 1, 0));
    row(out, "array_cat", 2..=2, |t, _| list_type(t, &[0, 1], &[]), joined);
    row(out, "array_to_string", 2..=3, text, |c| {
        let lists = list_of(c, 0)?;
        let (separator, null) = (c.text(1)?, if c.count() > 2 { Some(c.text(2)?) } else { None });
        let texts = lists.iter().map(|items| items.map(|items| flat(&items, c)).transpose()).collect::<Result<Vec<_>>>()?;
        c.texts(|i| {
            let (items, separator) = (texts[i].as_ref()?, separator.at(i)?);
            let null = null.as_ref().and_then(|n| n.at(i));
            Some(items.iter().filter_map(|item| item.or(null)).collect::<Vec<_>>().join(separator))
        })
    });
    row(out, "fg_array_cast", 2..=2, cast_type, array_cast);
}

/// The elements of an array of any depth as text.
fn flat(items: &ArrayRef, c: &Call<'_>) -> Result<StringArray> {
    if let Some(lists) = items.as_list_opt::<i32>() {
        let inner = lists.iter().flatten().map(|inner| flat(&inner, c)).collect::<Result<Vec<_>>>()?;
        return Ok(inner.iter().flat_map(|texts| texts.iter()).collect());
    }
    Ok(output_text(items, c.facts.family, &c.facts.zone)?.as_string::<i32>().clone())
}

fn item_of(ty: &DataType) -> Result<DataType> {
    match ty {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => Ok(item.data_type().clone()),
        DataType::Null => Ok(DataType::Null),
        other => {
            let message = format!("function does not exist for an argument of type {}", SqlType::of_arrow(other).postgres_name());
            Err(Error::new(Kind::UnknownFunction, message).with_hint("the argument must be an array"))
        }
    }
}

/// The type of the elements of lists and of single elements together.
fn common_item(types: &[DataType], lists: &[usize], elements: &[usize]) -> Result<DataType> {
    let of_lists = lists.iter().filter_map(|i| types.get(*i)).map(item_of).collect::<Result<Vec<_>>>()?;
    let mut item = DataType::Null;
    for ty in of_lists.iter().chain(elements.iter().filter_map(|i| types.get(*i))) {
        let wrong = || Error::new(Kind::InvalidStatement, format!("array elements of types {item} and {ty} cannot be matched"));
        // A literal is read as what the array holds.
        item = match (&item, ty) {
            (DataType::Null, ty) => ty.clone(),
            (item, DataType::Utf8) if item != &DataType::Utf8 => item.clone(),
            (item, ty) => type_union_coercion(item, ty).ok_or_else(wrong)?,
        };
    }
    Ok(if item.is_null() { DataType::Utf8 } else { item })
}

fn list_type(types: &[DataType], lists: &[usize], elements: &[usize]) -> Result<DataType> {
    Ok(DataType::new_list(common_item(types, lists, elements)?, true))
}

/// Argument `i` as a list.
fn list_of(c: &Call<'_>, i: usize) -> Result<ListArray> {
    let array = &c.args[i];
    if array.data_type().is_null() {
        let item = Arc::new(Field::new_list_field(DataType::Utf8, true));
        return Ok(ListArray::new_null(item, c.rows));
    }
    if let Some(list) = array.as_list_opt::<i32>() {
        return Ok(list.clone());
    }
    let wide = cast(array, &DataType::new_list(item_of(array.data_type())?, true)).map_err(internal)?;
    Ok(wide.as_list::<i32>().clone())
}

fn internal(e: datafusion::arrow::error::ArrowError) -> Error {
    Error::new(Kind::WrongArguments, e.to_string())
}

fn as_item(array: &ArrayRef, item: &DataType, c: &Call<'_>) -> Result<ArrayRef> {
    if array.data_type() == item {
        return Ok(Arc::clone(array));
    }
    if array.data_type() == &DataType::Utf8 {
        return coerce::cast_to(array, &SqlType::of_arrow(item), c.facts.family, &c.facts.zone);
    }
    cast(array, item).map_err(internal)
}

/// A list for each row, and single elements beside it, all of one element type.
struct Lists {
    lists: ListArray,
    /// The elements of the lists, then those of each single argument.
    pool: ArrayRef,
    /// Where the elements of each single argument begin.
    starts: Vec<usize>,
}

impl Lists {
    fn new(c: &Call<'_>, lists: &[usize], elements: &[usize]) -> Result<Lists> {
        let types: Vec<DataType> = c.args.iter().map(|a| a.data_type().clone()).collect();
        let item = common_item(&types, lists, elements)?;
        let list = list_of(c, lists.first().copied().unwrap_or(0))?;
        let mut parts = vec![as_item(list.values(), &item, c)?];
        let mut starts = Vec::new();
        let mut length = list.values().len();
        for element in elements {
            starts.push(length);
            parts.push(as_item(&c.args[*element], &item, c)?);
            length += c.rows;
        }
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        Ok(Lists { pool: concat(&parts).map_err(internal)?, lists: list, starts })
    }

    /// Where the elements of row `i` stand; None: the list is NULL.
    fn range(&self, i: usize) -> Option<std::ops::Range<usize>> {
        let offsets = self.lists.value_offsets();
        self.lists.is_valid(i).then(|| offsets[i] as usize..offsets[i + 1] as usize)
    }

    fn own(&self, _: usize, j: usize) -> usize {
        j
    }

    /// Where element `n` of row `i` stands.
    fn element(&self, n: usize, i: usize) -> usize {
        self.starts[n] + i
    }

    /// For each element of the lists: is it the same as the single element `n` of its row?
    fn same(&self, n: usize) -> Result<BooleanArray> {
        let mut beside = vec![0u32; self.lists.values().len()];
        for i in 0..self.lists.len() {
            for j in self.range(i).into_iter().flatten() {
                beside[j] = self.element(n, i) as u32;
            }
        }
        let own = self.pool.slice(0, beside.len());
        let beside = take(&self.pool, &UInt32Array::from(beside), None).map_err(internal)?;
        if own.data_type().is_nested() {
            return Err(Error::unsupported("searching for elements in arrays of several dimensions"));
        }
        cmp::not_distinct(&own, &beside).map_err(internal)
    }

    /// New lists out of the pool; a NULL list stays NULL.
    fn rebuild(&self, c: &Call<'_>, pick: impl Fn(usize, usize) -> Option<usize>) -> Result<ArrayRef> {
        let rows = (0..c.rows).map(|i| self.range(i).map(|range| range.filter_map(|j| pick(i, j)).collect()));
        build(&self.pool, rows.collect())
    }
}

/// Lists of the elements at these places of a pool.
fn build(pool: &ArrayRef, rows: Vec<Option<Vec<usize>>>) -> Result<ArrayRef> {
    let lengths = rows.iter().map(|row| row.as_ref().map_or(0, Vec::len));
    let offsets = OffsetBuffer::from_lengths(lengths);
    let nulls = rows.iter().map(Option::is_some).collect::<Vec<_>>().into();
    let places: UInt32Array = rows.into_iter().flatten().flatten().map(|at| at as u32).collect();
    let values = take(pool, &places, None).map_err(internal)?;
    let item = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    Ok(Arc::new(ListArray::try_new(item, offsets, values, Some(nulls)).map_err(internal)?))
}

/// One more element; a NULL list is an empty one.
fn added(c: &Call<'_>, list: usize, element: usize) -> Result<ArrayRef> {
    let lists = Lists::new(c, &[list], &[element])?;
    let rows = (0..c.rows).map(|i| {
        let mut places: Vec<usize> = lists.range(i).into_iter().flatten().collect();
        places.insert(if element > list { places.len() } else { 0 }, lists.element(0, i));
        Some(places)
    });
    build(&lists.pool, rows.collect())
}

/// Two lists; a NULL one adds nothing.
fn joined(c: &Call<'_>) -> Result<ArrayRef> {
    let types: Vec<DataType> = c.args.iter().map(|a| a.data_type().clone()).collect();
    let item = common_item(&types, &[0, 1], &[])?;
    let (a, b) = (list_of(c, 0)?, list_of(c, 1)?);
    let (left, right) = (as_item(a.values(), &item, c)?, as_item(b.values(), &item, c)?);
    let pool = concat(&[&left, &right]).map_err(internal)?;
    let places = |list: &ListArray, i: usize, start: usize| {
        let offsets = list.value_offsets();
        list.is_valid(i).then(|| (offsets[i] as usize + start..offsets[i + 1] as usize + start).collect::<Vec<_>>())
    };
    let rows = (0..c.rows).map(|i| match (places(&a, i, 0), places(&b, i, left.len())) {
        (Some(mut a), Some(b)) => {
            a.extend(b);
            Some(a)
        }
        (one, None) | (None, one) => one,
    });
    build(&pool, rows.collect())
}

fn declared(scalar: Option<&ScalarValue>) -> Result<SqlType> {
    match scalar {
        Some(ScalarValue::Utf8(Some(json))) => serde_json::from_str(json).map_err(|e| Error::internal(e.to_string())),
        _ => Err(Error::internal("a cast of an array without a type")),
    }
}

fn cast_type(_: &[DataType], scalars: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::new_list(declared(scalars.get(1).copied().flatten())?.arrow(), true))
}

/// An array's elements as another type. The second argument is that type.
fn array_cast(c: &Call<'_>) -> Result<ArrayRef> {
    let ty = declared(Some(&ScalarValue::Utf8(c.text(1)?.at(0).map(str::to_owned))))?;
    if c.args[0].data_type().is_null() {
        return Ok(new_null_array(c.returns, c.rows));
    }
    if c.args[0].data_type() == &DataType::Utf8 {
        return Err(Error::unsupported("a cast of a computed text to an array"));
    }
    let lists = list_of(c, 0)?;
    if lists.value_type().is_nested() {
        return Err(Error::unsupported("a cast of an array of several dimensions"));
    }
    let values = match (&ty, lists.value_type()) {
        (SqlType::Text | SqlType::VarChar { .. }, DataType::Utf8) => Arc::clone(lists.values()),
        (SqlType::Text, _) => coerce::text_of(lists.values(), Family::Postgres, &c.facts.zone)?,
        _ => coerce::cast_to(lists.values(), &ty, Family::Postgres, &c.facts.zone)?,
    };
    let item = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    Ok(Arc::new(ListArray::try_new(item, lists.offsets().clone(), values, lists.nulls().cloned()).map_err(internal)?))
}
