//! Are the values of a typed array values of its SQL type? Arrays that the engine made are; those of files that others
//! wrote need not be: Arrow's types hold decimals of more digits, days of any year, and numbers that are none.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::*;

use super::civil::{DAY, days_from_civil, utc_to_civil};
use super::format;
use super::target::Target;
use crate::error::Result;
use crate::types::{Column, Family, MAX_DECIMAL_PRECISION};

/// Days of the years 1 to 9999, which are all that INSERT takes.
const FIRST_DAY: i64 = days_from_civil(1, 1, 1);
const LAST_DAY: i64 = days_from_civil(9999, 12, 31);

/// An error, that of an INSERT of it, for a value that no column of its kind has: before [`coerce`](super::coerce) for the
/// array as it comes, and after it for the column's.
pub fn check(values: &ArrayRef, column: &Column, family: Family, zone: &jiff::tz::TimeZone, row_offset: u64) -> Result<()> {
    let target = Target { name: &column.name, ty: &column.ty, family, zone, row_offset };
    let first_bad = |bad: &dyn Fn(usize) -> bool| (0..values.len()).find(|&i| values.is_valid(i) && bad(i));
    let days = |day: i64| !(FIRST_DAY..=LAST_DAY).contains(&day);
    match values.data_type() {
        DataType::Decimal128(precision, scale) => {
            let array = values.as_primitive::<Decimal128Type>();
            let limit = 10u128.pow(u32::from((*precision).min(MAX_DECIMAL_PRECISION)));
            match first_bad(&|i| array.value(i).unsigned_abs() >= limit) {
                Some(i) => Err(target.out_of_range(i, format::decimal_text(array.value(i), *scale))),
                None => Ok(()),
            }
        }
        DataType::Date32 => {
            let array = values.as_primitive::<Date32Type>();
            match first_bad(&|i| days(array.value(i).into())) {
                Some(i) => Err(target.no_such_moment(i, &format::date_text(array.value(i).into()))),
                None => Ok(()),
            }
        }
        DataType::Timestamp(TimeUnit::Microsecond, place) => {
            let array = values.as_primitive::<TimestampMicrosecondType>();
            let civil = |i: usize| if place.is_some() { utc_to_civil(array.value(i), zone) } else { array.value(i) };
            match first_bad(&|i| days(civil(i).div_euclid(DAY))) {
                Some(i) => Err(target.no_such_moment(i, &format::civil_text(civil(i), format::needed_fsp(civil(i))))),
                None => Ok(()),
            }
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            let array = values.as_primitive::<Time64MicrosecondType>();
            match first_bad(&|i| !(0..DAY).contains(&array.value(i))) {
                Some(i) => Err(target.out_of_range(i, array.value(i))),
                None => Ok(()),
            }
        }
        // MySQL's floats are numbers; PostgreSQL's have NaN and infinities, too.
        DataType::Float32 if family == Family::MySql => {
            let array = values.as_primitive::<Float32Type>();
            first_bad(&|i| !array.value(i).is_finite()).map_or(Ok(()), |i| Err(target.out_of_range(i, array.value(i))))
        }
        DataType::Float64 if family == Family::MySql => {
            let array = values.as_primitive::<Float64Type>();
            first_bad(&|i| !array.value(i).is_finite()).map_or(Ok(()), |i| Err(target.out_of_range(i, array.value(i))))
        }
        _ => Ok(()),
    }
}
