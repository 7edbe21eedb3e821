//! Literals in one form: strings in single quotes, bit strings as numbers.

use datafusion::sql::sqlparser::ast::{Value, ValueWithSpan};

use crate::error::{Error, Kind, Result};
use crate::types::Family;

/// Brings a literal to the form that DataFusion reads.
pub(super) fn plain(value: &mut ValueWithSpan, family: Family) -> Result<()> {
    let taken = std::mem::replace(&mut value.value, Value::Null);
    value.value = match taken {
        Value::DoubleQuotedString(s)
        | Value::NationalStringLiteral(s)
        | Value::EscapedStringLiteral(s)
        | Value::UnicodeStringLiteral(s)
        | Value::TripleSingleQuotedString(s)
        | Value::TripleDoubleQuotedString(s) => Value::SingleQuotedString(s),
        Value::DollarQuotedString(s) => Value::SingleQuotedString(s.value),
        Value::SingleQuotedByteStringLiteral(bits) | Value::DoubleQuotedByteStringLiteral(bits) => {
            let wrong = || Error::new(Kind::WrongValue, format!("\"{bits}\" is not a bit string of at most 64 digits"));
            match family {
                Family::MySql if bits.is_empty() => Value::Number("0".into(), false),
                Family::MySql => Value::Number(u64::from_str_radix(&bits, 2).map_err(|_| wrong())?.to_string(), false),
                Family::Postgres => Value::SingleQuotedString(bits),
            }
        }
        other => other,
    };
    Ok(())
}
