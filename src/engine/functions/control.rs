//! Truth, choice among arguments, and facts of the session.

use std::sync::Arc;

use datafusion::arrow::array::*;
use datafusion::arrow::compute::kernels::cmp;
use datafusion::arrow::compute::kernels::zip::zip;
use datafusion::arrow::compute::{cast, is_null};
use datafusion::arrow::datatypes::*;
use datafusion::logical_expr::type_coercion::binary::type_union_coercion;
use datafusion::scalar::ScalarValue;

use super::scalar::{At, Call, Spec, add as row, int, text, truth};
use crate::error::{Error, Kind, Result};

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "fg_truth", 1..=1, truth, |c| Ok(Arc::new(c.truth(0)?)));
    row(out, "fg_int", 1..=1, int, |c| Ok(Arc::new(c.int(0)?)));
    row(out, "fg_xor", 2..=2, truth, |c| {
        let (a, b) = (c.truth(0)?, c.truth(1)?);
        c.truths(|i| Some(a.at(i)? != b.at(i)?))
    });
    row(out, "greatest", 1..=super::scalar::MANY, common_type, |c| extreme(c, true));
    row(out, "least", 1..=super::scalar::MANY, common_type, |c| extreme(c, false));
    row(out, "fg_tuple", 1..=super::scalar::MANY, text, tuple);
}

/// The type that all arguments can be turned into.
pub(super) fn common_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    let mut common = DataType::Null;
    for ty in types {
        common = type_union_coercion(&common, ty)
            .ok_or_else(|| Error::new(Kind::WrongArguments, format!("arguments of types {common} and {ty} have no common type")))?;
    }
    Ok(match common {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        other => other,
    })
}

/// GREATEST and LEAST: MySQL gives NULL for any NULL, PostgreSQL ignores NULLs.
fn extreme(c: &Call<'_>, largest: bool) -> Result<ArrayRef> {
    let wrong = |e: datafusion::arrow::error::ArrowError| Error::new(Kind::WrongArguments, e.to_string());
    let mut best: Option<ArrayRef> = None;
    for arg in &c.args {
        let arg = if c.returns == &DataType::Utf8 {
            crate::types::coerce::text_of(arg, c.facts.family, &c.facts.zone)?
        } else {
            cast(arg, c.returns).map_err(wrong)?
        };
        let Some(current) = best else {
            best = Some(arg);
            continue;
        };
        let wins = if largest { cmp::gt(&arg, &current) } else { cmp::lt(&arg, &current) }.map_err(wrong)?;
        let take: BooleanArray = (0..c.rows)
            .map(|i| {
                Some(if c.is_mysql() {
                    // NULL once, NULL for good.
                    current.is_valid(i) && (arg.is_null(i) || wins.value(i))
                } else {
                    arg.is_valid(i) && (current.is_null(i) || wins.value(i))
                })
            })
            .collect();
        best = Some(zip(&take, &arg, &current).map_err(wrong)?);
    }
    best.ok_or_else(|| Error::internal("no arguments"))
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
