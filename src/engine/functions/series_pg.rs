//! `generate_series` in a select list, as a list of its values: whole numbers, and moments, which go by the session's zone.

use std::sync::Arc;

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::*;
use datafusion::scalar::ScalarValue;

use super::dates::{intervals, utc_or_civil};
use super::dates_pg::moved;
use super::scalar::{At, CIVIL, Call, Spec, add as row, zoned};
use crate::error::{Error, Kind, Result};
use crate::types::UTC;

/// Most values of one series.
const MOST: usize = 100_000_000;

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "generate_series", 2..=3, series_type, series);
}

fn series_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    let any = |f: fn(&DataType) -> bool| types.iter().take(2).any(f);
    let item = if any(|t| matches!(t, DataType::Timestamp(_, Some(_)) | DataType::Date32)) {
        zoned()
    } else if any(|t| matches!(t, DataType::Timestamp(..))) {
        CIVIL
    } else if types.iter().all(|t| t.is_integer() || t.is_null()) {
        DataType::Int64
    } else {
        return Err(Error::unsupported("generate_series of anything but whole numbers and moments"));
    };
    Ok(DataType::new_list(item, true))
}

fn series(c: &Call<'_>) -> Result<ArrayRef> {
    let DataType::List(item) = c.returns else { return Err(Error::internal("a series is no list")) };
    match item.data_type() {
        DataType::Int64 => {
            let (from, to) = (c.int(0)?, c.int(1)?);
            let step = if c.count() > 2 { c.int(2)? } else { Int64Array::from(vec![1; c.rows]) };
            let mut out = ListBuilder::new(Int64Builder::new());
            for i in 0..c.rows {
                if let (Some(from), Some(to), Some(step)) = (from.at(i), to.at(i), step.at(i)) {
                    fill(out.values(), from, to, step.signum(), |v| Ok(v.checked_add(step)))?;
                }
                out.append(true);
            }
            Ok(Arc::new(out.finish()))
        }
        ty => {
            if c.count() < 3 {
                return Err(Error::new(Kind::UnknownFunction, "function generate_series does not exist for two moments")
                    .with_hint("give it an interval as its third argument"));
            }
            let zone = matches!(ty, DataType::Timestamp(_, Some(_))).then_some(&c.facts.zone);
            let of = |i: usize| {
                let civil = matches!(c.args[i].data_type(), DataType::Timestamp(_, Some(_)));
                match zone {
                    Some(_) if !civil => {
                        let stamps = crate::types::coerce::cast_to(
                            &c.args[i],
                            &crate::types::SqlType::Timestamp { fsp: 6 },
                            c.facts.family,
                            &c.facts.zone,
                        )?;
                        Ok(stamps.as_primitive::<TimestampMicrosecondType>().iter().collect::<Int64Array>())
                    }
                    _ => utc_or_civil(c, i),
                }
            };
            let (from, to, steps) = (of(0)?, of(1)?, intervals(c, 2)?);
            let name = zone.map(|_| UTC.into());
            let mut out = ListBuilder::new(TimestampMicrosecondBuilder::new().with_timezone_opt::<Arc<str>>(name));
            for (i, step) in steps.into_iter().enumerate() {
                if let (Some(from), Some(to), Some(step)) = (from.at(i), to.at(i), step) {
                    let sign = super::extremes_pg::length(step).signum() as i64;
                    fill(out.values(), from, to, sign, |v| moved(v, step, zone).map(Some))?;
                }
                out.append(true);
            }
            Ok(Arc::new(out.finish()))
        }
    }
}

/// The values from one to another, in the direction of a sign.
fn fill<T: ArrowPrimitiveType<Native = i64>>(
    out: &mut PrimitiveBuilder<T>,
    from: i64,
    to: i64,
    sign: i64,
    next: impl Fn(i64) -> Result<Option<i64>>,
) -> Result<()> {
    if sign == 0 {
        return Err(Error::new(Kind::WrongValue, "step size cannot equal zero"));
    }
    let mut at = Some(from);
    let mut count = 0;
    while let Some(v) = at.filter(|v| if sign > 0 { *v <= to } else { *v >= to }) {
        count += 1;
        if count > MOST {
            return Err(Error::unsupported(format!("a series of more than {MOST} values in a select list")).with_hint("write it in FROM"));
        }
        out.append_value(v);
        at = next(v)?;
    }
    Ok(())
}
