//! Literals in one form: strings in single quotes, MySQL's bit strings as bytes.

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
                // Bytes, which are a number where one is wanted.
                Family::MySql if bits.is_empty() => Value::HexStringLiteral(String::new()),
                Family::MySql => {
                    let n = u64::from_str_radix(&bits, 2).map_err(|_| wrong())?;
                    Value::HexStringLiteral(format!("{n:0width$X}", width = bits.len().div_ceil(8) * 2))
                }
                Family::Postgres => Value::SingleQuotedString(bits),
            }
        }
        Value::HexStringLiteral(hex) if hex.len() % 2 == 1 && family == Family::MySql => Value::HexStringLiteral(format!("0{hex}")),
        other => other,
    };
    Ok(())
}
