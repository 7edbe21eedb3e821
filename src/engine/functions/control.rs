//! Truth, choice among arguments, and facts of the session.

use std::sync::Arc;

use datafusion::arrow::array::*;
use datafusion::arrow::compute::kernels::cmp;
use datafusion::arrow::compute::kernels::zip::zip;
use datafusion::arrow::compute::{cast, is_null, take};
use datafusion::arrow::datatypes::*;
use datafusion::logical_expr::type_coercion::binary::type_union_coercion;
use datafusion::scalar::ScalarValue;

use super::common_moment::{self, Purpose};
use super::scalar::{At, Call, Spec, add as row, int, text, truth};
use crate::error::{Error, Kind, Result};
use crate::types::Family;

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "fg_truth", 1..=1, truth, |c| Ok(Arc::new(c.truth(0)?)));
    row(out, "fg_int", 1..=1, int, |c| Ok(Arc::new(c.int(0)?)));
    row(out, "fg_xor", 2..=2, truth, |c| {
        let (a, b) = (c.truth(0)?, c.truth(1)?);
        c.truths(|i| Some(a.at(i)? != b.at(i)?))
    });
    row(
        out,
        "fg_only",
        1..=1,
        |types, _| match types.first() {
            Some(DataType::List(item)) => Ok(item.data_type().clone()),
            other => Err(Error::internal(format!("the only one of {other:?}"))),
        },
        only,
    );
    row(out, "fg_tuple", 1..=super::scalar::MANY, text, tuple);
}

/// Functions that give one of their arguments, for one dialect: the type of all of them together differs.
pub(super) fn add_choice(out: &mut Vec<Spec>, family: Family) {
    let ty = match family {
        Family::MySql => mysql_common_type,
        Family::Postgres => postgres_common_type,
    };
    let extreme_type = if family == Family::MySql { mysql_extreme_type } else { ty };
    row(out, "greatest", 1..=super::scalar::MANY, extreme_type, |c| extreme(c, true));
    row(out, "least", 1..=super::scalar::MANY, extreme_type, |c| extreme(c, false));
    row(out, "coalesce", 1..=super::scalar::MANY, ty, first_value);
}

fn is_text(ty: &DataType) -> bool {
    matches!(ty, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The type of one of several values.
pub(super) fn common_type_of(family: Family, types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    match family {
        Family::MySql => mysql_common_type(types, constants),
        Family::Postgres => postgres_common_type(types, constants),
    }
}

fn is_moment(ty: &DataType) -> bool {
    matches!(ty, DataType::Date32 | DataType::Timestamp(..) | DataType::Time64(_))
}

/// GREATEST and LEAST read a number beside a moment as one.
fn mysql_extreme_type(types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    if types.iter().any(is_moment) && types.iter().any(DataType::is_numeric) && !types.iter().any(is_text) {
        return common_type(types.iter().filter(|ty| !ty.is_numeric()));
    }
    mysql_common_type(types, constants)
}

/// A text among other things makes all of them texts, and so does a number among moments.
fn mysql_common_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    if let Some(common) = common_moment::common(types.iter(), Family::MySql, Purpose::Choice) {
        return Ok(common);
    }
    let other = |ty: &DataType| !is_text(ty) && !matches!(ty, DataType::Null | DataType::Binary);
    if types.iter().any(is_moment) && types.iter().any(DataType::is_numeric) {
        return Ok(DataType::Utf8);
    }
    if types.iter().any(is_text) && types.iter().any(other) { Ok(DataType::Utf8) } else { common_type(types.iter()) }
}

/// A literal takes the type of the other arguments.
fn postgres_common_type(types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    let other = |ty: &DataType| !is_text(ty) && ty != &DataType::Null;
    if !types.iter().any(other) {
        return common_type(types.iter());
    }
    let literal = |i: usize| is_text(&types[i]) && matches!(constants.get(i), Some(Some(_)));
    let telling = || types.iter().enumerate().filter(|(i, _)| !literal(*i)).map(|(_, ty)| ty);
    if !telling().any(is_text)
        && let Some(common) = common_moment::common(telling(), Family::Postgres, Purpose::Choice)
    {
        return Ok(common);
    }
    common_type(telling())
}

/// The type that all of these can be turned into. Doubles win over decimals.
fn common_type<'a>(types: impl Iterator<Item = &'a DataType>) -> Result<DataType> {
    let mut common = DataType::Null;
    for ty in types {
        common = match (&common, ty) {
            (DataType::Float32 | DataType::Float64, d) | (d, DataType::Float32 | DataType::Float64) if d.is_decimal() => DataType::Float64,
            _ => type_union_coercion(&common, ty)
                .ok_or_else(|| Error::new(Kind::WrongArguments, format!("arguments of types {common} and {ty} have no common type")))?,
        };
    }
    Ok(match common {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        other => other,
    })
}

/// Argument `i` as the common type.
pub(super) fn as_common(c: &Call<'_>, i: usize) -> Result<ArrayRef> {
    let (arg, facts) = (&c.args[i], c.facts);
    match (arg.data_type(), c.returns) {
        (from, to) if from == to => Ok(Arc::clone(arg)),
        (from, to) if c.is_mysql() && from.is_numeric() && is_moment(to) => super::moments::moments_of_numbers(c, i),
        (_, DataType::Utf8) => crate::types::coerce::text_of(arg, facts.family, &facts.zone),
        (_, DataType::Timestamp(_, None)) => Ok(Arc::new(c.civil(i)?.reinterpret_cast::<TimestampMicrosecondType>())),
        (from, to) if is_text(from) || matches!(to, DataType::Timestamp(_, Some(_))) => {
            crate::types::coerce::cast_to(arg, &crate::types::SqlType::of_arrow(to), facts.family, &facts.zone)
        }
        (_, to) => cast(arg, to).map_err(|e| Error::new(Kind::WrongArguments, e.to_string())),
    }
}

/// COALESCE over types that are not all the same; DataFusion's own is for those that are.
fn first_value(c: &Call<'_>) -> Result<ArrayRef> {
    let mut out = as_common(c, 0)?;
    for i in 1..c.count() {
        if out.null_count() == 0 {
            break;
        }
        let missing = is_null(&out).map_err(|e| Error::internal(e.to_string()))?;
        out = zip(&missing, &as_common(c, i)?, &out).map_err(|e| Error::internal(e.to_string()))?;
    }
    Ok(out)
}

/// GREATEST and LEAST: MySQL gives NULL for any NULL, PostgreSQL ignores NULLs.
fn extreme(c: &Call<'_>, largest: bool) -> Result<ArrayRef> {
    let wrong = |e: datafusion::arrow::error::ArrowError| Error::new(Kind::WrongArguments, e.to_string());
    let mut best: Option<ArrayRef> = None;
    for i in 0..c.count() {
        let arg = as_common(c, i)?;
        let Some(current) = best else {
            best = Some(arg);
            continue;
        };
        let (new, old) = (comparable(&arg)?, comparable(&current)?);
        let wins = if largest { cmp::gt(&new, &old) } else { cmp::lt(&new, &old) }.map_err(wrong)?;
        let wins: BooleanArray = (0..c.rows)
            .map(|i| {
                Some(if c.is_mysql() {
                    // NULL once, NULL for good.
                    current.is_valid(i) && (arg.is_null(i) || wins.value(i))
                } else {
                    arg.is_valid(i) && (current.is_null(i) || wins.value(i))
                })
            })
            .collect();
        best = Some(zip(&wins, &arg, &current).map_err(wrong)?);
    }
    best.ok_or_else(|| Error::internal("no arguments"))
}

/// What Arrow compares as the values compare: of intervals their lengths.
fn comparable(values: &ArrayRef) -> Result<ArrayRef> {
    if !matches!(values.data_type(), DataType::Interval(IntervalUnit::MonthDayNano)) {
        return Ok(Arc::clone(values));
    }
    let length = |v: IntervalMonthDayNano| super::extremes_pg::length((v.months.into(), v.days.into(), v.nanoseconds / 1000));
    let lengths = values.as_primitive::<IntervalMonthDayNanoType>().unary::<_, Decimal128Type>(length);
    Ok(Arc::new(lengths.with_data_type(DataType::Decimal128(38, 0))))
}

/// The only value of each list; NULL of none.
fn only(c: &Call<'_>) -> Result<ArrayRef> {
    let Some(lists) = c.args[0].as_list_opt::<i32>() else { return Ok(new_null_array(c.returns, c.rows)) };
    let mut taken = UInt32Builder::with_capacity(c.rows);
    for i in 0..c.rows {
        match if lists.is_valid(i) { lists.value_length(i) } else { 0 } {
            0 => taken.append_null(),
            1 => taken.append_value(lists.value_offsets()[i] as u32),
            _ => return Err(Error::new(Kind::ManyRows, "Subquery returns more than 1 row")),
        }
    }
    take(lists.values(), &taken.finish(), None).map_err(|e| Error::internal(e.to_string()))
}

/// One text for several values, NULL when one of them is: what COUNT(DISTINCT a, b) counts.
fn tuple(c: &Call<'_>) -> Result<ArrayRef> {
    let texts = (0..c.count()).map(|i| c.text(i)).collect::<Result<Vec<_>>>()?;
    let nulls = c.args.iter().map(|a| is_null(a)).collect::<Result<Vec<_>, _>>().map_err(|e| Error::internal(e.to_string()))?;
    c.texts(|i| {
        if nulls.iter().any(|n| n.value(i)) {
            return None;
        }
        let mut key = String::new();
        for part in &texts {
            let part = part.at(i).unwrap_or_default();
            // The length first: no two different tuples share a key.
            key.push_str(&format!("{}:{part}", part.len()));
        }
        Some(key)
    })
}
