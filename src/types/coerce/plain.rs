//! One physical form for each logical type.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimeUnit};

use crate::error::{Error, Kind, Result};

/// Brings the many physical forms of one logical type to one: text Utf8, bytes Binary, times in microseconds, decimals
/// Decimal128.
pub fn plain(values: &ArrayRef) -> Result<ArrayRef> {
    let want = match values.data_type() {
        DataType::Dictionary(_, value) => return plain(&cast(values, value).map_err(|e| Error::internal(e.to_string()))?),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => DataType::Decimal128(*p, *s),
        DataType::Decimal256(_, s) => DataType::Decimal128(38, *s),
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(TimeUnit::Nanosecond) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(unit, zone) if *unit != TimeUnit::Microsecond => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        _ => return Ok(Arc::clone(values)),
    };
    cast(values, &want).map_err(|e| Error::new(Kind::OutOfRange, format!("a value is out of range: {e}")))
}
