//! A column's definition: type, attributes, default.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::ast::{Expr, UnaryOperator, Value};
use super::cursor::Cursor;
use super::ddl::{ColumnDef, KeyDef};
use super::{build, data_type};
use crate::error::{Error, Kind, Result};
use crate::types::{Default, SqlType};

/// A column with its type and attributes, and the keys that it declares.
pub(super) fn column(cursor: &mut Cursor, warnings: &mut Vec<String>) -> Result<(ColumnDef, Vec<KeyDef>)> {
    let name = cursor.ident()?;
    let ty = data_type::parse(cursor)?;
    let mut column = ColumnDef { name: name.clone(), ty, nullable: true, default: None, comment: String::new() };
    let mut keys = Vec::new();
    let mut null_default = false;
    let words = [
        "NOT NULL",
        "NULL",
        "DEFAULT",
        "PRIMARY KEY",
        "UNIQUE KEY",
        "UNIQUE",
        "KEY",
        "COMMENT",
        "COLLATE",
        "CHARACTER SET",
        "CHARSET",
        "ASCII",
        "UNICODE",
        "BINARY",
        "CONSTRAINT",
        "CHECK",
        "AUTO_INCREMENT",
        "ON UPDATE",
        "GENERATED",
        "AS",
        "VISIBLE",
        "INVISIBLE",
        "COLUMN_FORMAT",
        "STORAGE",
    ];
    loop {
        let Some(word) = cursor.accept_one(&words) else {
            if cursor.is("REFERENCES") {
                references(cursor)?;
                warnings.push("foreign keys are not enforced".into());
                continue;
            }
            if null_default && !column.nullable && cursor.dialect.is_mysql() {
                return Err(Error::new(Kind::InvalidDefault, format!("Invalid default value for '{}'", column.name)));
            }
            return Ok((column, keys));
        };
        match word {
            "NOT NULL" => column.nullable = false,
            "DEFAULT" => {
                let expr = default_expr(cursor)?;
                let quoted = matches!(&expr, Expr::Value(value) if typed_text(&value.value).is_some());
                column.default = default_of(&expr)?.map(|d| own_form(d, quoted, &column.ty, cursor.dialect.is_mysql()));
                null_default = column.default.is_none();
            }
            "PRIMARY KEY" | "KEY" => {
                column.nullable = false;
                keys.push(KeyDef { name: "PRIMARY".into(), columns: vec![name.clone()], unique: true, primary: true });
            }
            "UNIQUE" | "UNIQUE KEY" => keys.push(KeyDef { name: name.clone(), columns: vec![name.clone()], unique: true, primary: false }),
            "COMMENT" => column.comment = cursor.string()?,
            "COLLATE" | "CHARACTER SET" | "CHARSET" => {
                cursor.ident_or_string()?;
                if cursor.accept_token(&Token::Period) {
                    cursor.ident_or_string()?;
                }
            }
            "COLUMN_FORMAT" | "STORAGE" | "CONSTRAINT" => drop(cursor.ident()?),
            "CHECK" => {
                cursor.expect_token(&Token::LParen)?;
                cursor.skip_parenthesis()?;
                cursor.accept_one(&["NOT ENFORCED", "ENFORCED"]);
                warnings.push("CHECK constraints are not enforced".into());
            }
            "AUTO_INCREMENT" => return Err(data_type::no_sequences("AUTO_INCREMENT")),
            "ON UPDATE" => return Err(Error::unsupported("ON UPDATE CURRENT_TIMESTAMP").with_hint("set the column in the UPDATE")),
            "GENERATED" | "AS" => return Err(Error::unsupported("a generated column").with_hint("compute it in a view")),
            _ => {}
        }
    }
}

/// A default in the form that the column keeps: BIT as a decimal number, TRUE of a MySQL number as 1.
fn own_form(default: Default, quoted: bool, ty: &SqlType, mysql: bool) -> Default {
    let Default::Value(text) = default else { return default };
    Default::Value(match ty {
        SqlType::Bit { .. } if quoted && mysql && text.len() <= 8 => {
            text.bytes().fold(0u64, |number, byte| number << 8 | u64::from(byte)).to_string()
        }
        SqlType::Bit { .. } if quoted && !mysql => u64::from_str_radix(&text, 2).map_or(text, |number| number.to_string()),
        _ if mysql && !quoted && matches!(text.as_str(), "true" | "false") => u8::from(text == "true").to_string(),
        _ => text,
    })
}

/// The expression behind DEFAULT: a constant, the time, or a fresh UUID. None: NULL.
pub(super) fn default(cursor: &mut Cursor) -> Result<Option<Default>> {
    default_of(&default_expr(cursor)?)
}

fn default_expr(cursor: &mut Cursor) -> Result<Expr> {
    // Not cursor.expr(): what follows (NOT NULL, COMMENT ..) must stay.
    cursor.with_parser(|parser| {
        // Binds tighter than NOT, IS, COLLATE .. and so stops at the next attribute.
        parser.parse_subexpr(40)
    })
}

fn default_of(expr: &Expr) -> Result<Option<Default>> {
    let odd = || {
        Error::unsupported(format!("DEFAULT {expr}"))
            .with_hint("a constant, CURRENT_TIMESTAMP, CURRENT_DATE or a UUID function may stand here")
    };
    match expr {
        Expr::Nested(inner) => default_of(inner),
        Expr::Cast { expr, .. } => default_of(expr),
        Expr::TypedString(typed) => Ok(typed_text(&typed.value.value).map(Default::Value)),
        Expr::Value(value) => match &value.value {
            Value::Null => Ok(None),
            Value::Number(digits, _) => Ok(Some(Default::Value(digits.clone()))),
            Value::Boolean(b) => Ok(Some(Default::Value(b.to_string()))),
            Value::SingleQuotedByteStringLiteral(bits) => {
                let number = u64::from_str_radix(bits, 2).map_err(|_| odd())?;
                Ok(Some(Default::Value(number.to_string())))
            }
            other => typed_text(other).map(|text| Some(Default::Value(text))).ok_or_else(odd),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match default_of(expr)? {
            Some(Default::Value(digits)) => Ok(Some(Default::Value(format!("-{digits}")))),
            _ => Err(odd()),
        },
        Expr::Identifier(ident) if ident.quote_style.is_none() && is_now(&ident.value) => Ok(Some(Default::Now)),
        Expr::Function(function) => {
            let name = build::function_name(function).unwrap_or_default().to_ascii_lowercase();
            match name.as_str() {
                "current_date" | "curdate" => Ok(Some(Default::Today)),
                "uuid" | "gen_random_uuid" | "uuid_generate_v4" => Ok(Some(Default::Uuid)),
                name if is_now(name) => Ok(Some(Default::Now)),
                _ => Err(odd()),
            }
        }
        _ => Err(odd()),
    }
}

fn typed_text(value: &Value) -> Option<String> {
    match value {
        Value::SingleQuotedString(s) | Value::DoubleQuotedString(s) | Value::EscapedStringLiteral(s) => Some(s.clone()),
        _ => None,
    }
}

fn is_now(name: &str) -> bool {
    let names =
        ["now", "current_timestamp", "localtimestamp", "localtime", "statement_timestamp", "transaction_timestamp", "clock_timestamp"];
    names.iter().any(|n| name.eq_ignore_ascii_case(n))
}

/// `REFERENCES t [(c, ..)] [MATCH m] [ON DELETE a] [ON UPDATE a]`.
pub(super) fn references(cursor: &mut Cursor) -> Result<()> {
    cursor.expect("REFERENCES")?;
    cursor.name()?;
    if cursor.peek() == Some(&Token::LParen) {
        cursor.parenthesised(Cursor::ident)?;
    }
    loop {
        match cursor.accept_one(&[
            "MATCH",
            "ON DELETE",
            "ON UPDATE",
            "DEFERRABLE",
            "NOT DEFERRABLE",
            "INITIALLY DEFERRED",
            "INITIALLY IMMEDIATE",
        ]) {
            Some("MATCH") => drop(cursor.ident()?),
            Some("ON DELETE" | "ON UPDATE") => {
                if cursor.accept_one(&["SET NULL", "SET DEFAULT", "NO ACTION", "CASCADE", "RESTRICT"]).is_none() {
                    return Err(cursor.error());
                }
            }
            Some(_) => {}
            None => return Ok(()),
        }
    }
}
