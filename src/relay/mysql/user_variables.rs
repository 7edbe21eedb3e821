//! `@variables` live in the upstream's session. What a local statement reads is fetched, what it sets is sent back.

use std::io;

use bytes::Bytes;
use datafusion::scalar::ScalarValue;
use mysql_common::constants::CapabilityFlags as Caps;
use mysql_common::constants::ColumnType;

use super::own_queries;
use crate::upstream::Stream;
use crate::wire::mysql::charset::{BINARY, Charset};
use crate::wire::mysql::codec::Reader;
use crate::wire::mysql::connection::Connection;

/// The values of user variables at the upstream. `charsets`: of what it gets, and of what it sends.
pub(super) async fn fetch(
    upstream: &mut Connection<Stream>,
    (capabilities, (client, results)): (Caps, (Charset, Charset)),
    status: &mut u16,
    names: &[String],
) -> io::Result<Result<Vec<(String, ScalarValue)>, own_queries::StateUnknown>> {
    let list: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    let mut command = vec![3];
    // Whatever sql_select_limit is.
    command.extend_from_slice(&client.encode(&format!("SELECT {} LIMIT 1", list.join(", "))));
    let answer = own_queries::run(upstream, capabilities, status, &command).await?;
    let Some(row) = answer.row else { return Ok(Err(own_queries::StateUnknown(answer.error))) };
    let mut reader = Reader::new(&row);
    let mut values = Vec::with_capacity(names.len());
    for (name, definition) in names.iter().zip(&answer.definitions) {
        let value = own_queries::cell_bytes(&mut reader);
        values.push((name.clone(), value_of(definition, value, results)));
    }
    Ok(Ok(values))
}

/// A cell of a text row as the value that the column's type says.
fn value_of(definition: &Bytes, cell: Option<&[u8]>, charset: Charset) -> ScalarValue {
    let Some(cell) = cell else { return ScalarValue::Utf8(None) };
    let text = || charset.decode(cell).map_or_else(|_| String::from_utf8_lossy(cell).into_owned(), |text| text.into_owned());
    let Some((collation, kind)) = type_of(definition) else { return ScalarValue::Utf8(Some(text())) };
    let plain = std::str::from_utf8(cell).unwrap_or_default();
    match kind {
        ColumnType::MYSQL_TYPE_LONGLONG | ColumnType::MYSQL_TYPE_LONG => match (plain.parse(), plain.parse()) {
            (Ok(signed), _) => ScalarValue::Int64(Some(signed)),
            (_, Ok(unsigned)) => ScalarValue::UInt64(Some(unsigned)),
            _ => ScalarValue::Utf8(Some(text())),
        },
        ColumnType::MYSQL_TYPE_DOUBLE | ColumnType::MYSQL_TYPE_FLOAT => {
            plain.parse().map_or_else(|_| ScalarValue::Utf8(Some(text())), |value| ScalarValue::Float64(Some(value)))
        }
        ColumnType::MYSQL_TYPE_NEWDECIMAL => decimal(plain).unwrap_or_else(|| ScalarValue::Utf8(Some(text()))),
        _ if collation == BINARY => ScalarValue::Binary(Some(cell.to_vec())),
        _ => ScalarValue::Utf8(Some(text())),
    }
}

fn decimal(text: &str) -> Option<ScalarValue> {
    let scale = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let value: i128 = text.replace('.', "").parse().ok()?;
    if digits > 38 {
        return None;
    }
    Some(ScalarValue::Decimal128(Some(value), u8::try_from(digits.max(1)).ok()?, i8::try_from(scale).ok()?))
}

/// Collation and type of a column definition.
fn type_of(definition: &Bytes) -> Option<(u16, ColumnType)> {
    let mut reader = Reader::new(definition);
    for _ in 0..6 {
        reader.lenenc_bytes("name").ok()?;
    }
    super::hot_rows::pass_to_numbers(&mut reader).ok()?;
    let collation = reader.u16("collation").ok()?;
    reader.u32("length").ok()?;
    Some((collation, ColumnType::try_from(reader.u8("type").ok()?).ok()?))
}

/// Gives variables that a local statement has set to the upstream.
pub(super) async fn send_back(
    upstream: &mut Connection<Stream>,
    capabilities: Caps,
    status: &mut u16,
    values: &[(String, ScalarValue)],
) -> io::Result<()> {
    if values.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = values.iter().map(|(name, value)| format!("{} = {}", quoted(name), literal(value))).collect();
    let command = format!("\x03SET {}", list.join(", "));
    own_queries::run(upstream, capabilities, status, command.as_bytes()).await?;
    Ok(())
}

/// A user variable in every sql_mode.
pub(super) fn quoted(name: &str) -> String {
    format!("@`{}`", name.replace('`', "``"))
}

/// A value as a literal that means the same in every character set and sql_mode.
fn literal(value: &ScalarValue) -> String {
    match value {
        value if value.is_null() => "NULL".into(),
        ScalarValue::Binary(Some(bytes)) | ScalarValue::LargeBinary(Some(bytes)) if bytes.is_empty() => "_binary''".into(),
        ScalarValue::Binary(Some(bytes)) | ScalarValue::LargeBinary(Some(bytes)) => format!("_binary 0x{}", hex::encode(bytes)),
        ScalarValue::Float64(Some(value)) => format!("{value:e}"),
        ScalarValue::Float32(Some(value)) => format!("{value:e}"),
        ScalarValue::Boolean(Some(value)) => u8::from(*value).to_string(),
        value if value.data_type().is_numeric() => value.to_string(),
        value => {
            let text = value.to_string();
            if text.is_empty() { "_utf8mb4''".into() } else { format!("_utf8mb4 0x{}", hex::encode(text)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_so_that_no_mode_changes_them() {
        let text = |t: &str| literal(&ScalarValue::Utf8(Some(t.into())));
        assert_eq!(text("a'b"), "_utf8mb4 0x612762");
        assert_eq!(text(""), "_utf8mb4''");
        assert_eq!(literal(&ScalarValue::Int64(Some(-5))), "-5");
        assert_eq!(literal(&ScalarValue::Float64(Some(1.5))), "1.5e0");
        assert_eq!(literal(&ScalarValue::Utf8(None)), "NULL");
        assert_eq!(literal(&decimal("-12.50").unwrap()), "-12.50");
    }
}
