//! PostgreSQL's special forms as calls and plain SQL.

use datafusion::sql::sqlparser::ast::*;

use super::array_literal;
use super::build::{as_string, call, hole, not, spell_out, string, take};
use super::cast::cast;
use super::mysql_functions::{arguments, json_aggregate, rename, wrap_arguments};
use super::rows;
use crate::engine::functions::{cast_name, type_argument};
use crate::error::{Error, Result};
use crate::types::{Family, SqlType};

/// Rewrites one expression whose parts are rewritten already.
pub(super) fn expr(e: &mut Expr) -> Result<()> {
    rows::expr(e);
    spell_out(e);
    match e {
        Expr::Cast { expr: value, data_type, .. } => *e = cast(take(value), data_type, Family::Postgres)?,
        Expr::TypedString(literal) => {
            let text = literal.value.value.clone().into_string().unwrap_or_default();
            *e = cast(string(text), &literal.data_type, Family::Postgres)?;
        }
        Expr::Interval(given) if given.leading_field.is_none() => {
            if let Some(text) = as_string(&given.value) {
                *e = super::cast::interval(text)?;
            }
        }
        Expr::Collate { expr: value, .. } => *e = take(value),
        Expr::BinaryOp { left, op, right } => {
            let like = |e: &mut Expr, negated, insensitive| {
                if let Expr::BinaryOp { left, right, .. } = e {
                    let (expr, pattern) = (Box::new(take(left)), Box::new(take(right)));
                    *e = if insensitive {
                        Expr::ILike { negated, any: false, expr, pattern, escape_char: None }
                    } else {
                        Expr::Like { negated, any: false, expr, pattern, escape_char: None }
                    };
                }
            };
            let name = match op {
                BinaryOperator::Arrow => "fg_json_get",
                BinaryOperator::LongArrow => "fg_json_get_text",
                BinaryOperator::HashArrow => "fg_json_path",
                BinaryOperator::HashLongArrow => "fg_json_path_text",
                BinaryOperator::Question => "fg_json_has",
                BinaryOperator::PGExp => "power",
                BinaryOperator::PGStartsWith => "starts_with",
                BinaryOperator::PGLikeMatch => {
                    like(e, false, false);
                    return Ok(());
                }
                BinaryOperator::PGNotLikeMatch => {
                    like(e, true, false);
                    return Ok(());
                }
                BinaryOperator::PGILikeMatch => {
                    like(e, false, true);
                    return Ok(());
                }
                BinaryOperator::PGNotILikeMatch => {
                    like(e, true, true);
                    return Ok(());
                }
                // `a OPERATOR(pg_catalog.~) b`
                BinaryOperator::PGCustomBinaryOperator(parts) => {
                    let plain = match parts.last().map(String::as_str) {
                        Some("~") => BinaryOperator::PGRegexMatch,
                        Some("~*") => BinaryOperator::PGRegexIMatch,
                        Some("!~") => BinaryOperator::PGRegexNotMatch,
                        Some("=") => BinaryOperator::Eq,
                        Some("<>") => BinaryOperator::NotEq,
                        _ => return Ok(()),
                    };
                    *op = plain;
                    return Ok(());
                }
                _ => return Ok(()),
            };
            *e = call(name, vec![take(left), take(right)]);
        }
        Expr::UnaryOp { op, expr: value } => match op {
            UnaryOperator::PGSquareRoot => *e = call("sqrt", vec![take(value)]),
            UnaryOperator::PGCubeRoot => *e = call("cbrt", vec![take(value)]),
            UnaryOperator::PGAbs => *e = call("fg_pg_abs", vec![take(value)]),
            UnaryOperator::Plus => *e = take(value),
            // Not of a number as it is written, whose smallest has no positive.
            UnaryOperator::Minus if !is_literal(value) => *e = call("fg_pg_neg", vec![take(value)]),
            _ => {}
        },
        Expr::AtTimeZone { timestamp, time_zone } => *e = call("timezone", vec![take(time_zone), take(timestamp)]),
        Expr::Extract { field, expr: value, .. } => *e = call("fg_pg_extract", vec![string(field.to_string().to_lowercase()), take(value)]),
        Expr::Ceil { expr: value, .. } => *e = call("ceil", vec![take(value)]),
        Expr::Floor { expr: value, .. } => *e = call("floor", vec![take(value)]),
        Expr::Position { expr: needle, r#in } => *e = call("strpos", vec![take(r#in), take(needle)]),
        Expr::Substring { expr: value, substring_from: Some(from), substring_for: None, .. } if as_string(from).is_some() => {
            *e = call("fg_pg_substring_regex", vec![take(value), take(from)]);
        }
        Expr::Substring { expr: value, substring_from: from, substring_for: length, .. } => {
            let from = from.as_mut().map_or_else(|| super::build::number(1), |from| take(from));
            let mut args = vec![take(value), from];
            args.extend(length.as_mut().map(|length| take(length)));
            *e = call("fg_pg_substr", args);
        }
        Expr::Overlay { expr: value, overlay_what, overlay_from, overlay_for } => {
            let mut args = vec![take(value), take(overlay_what), take(overlay_from)];
            args.extend(overlay_for.as_mut().map(|length| take(length)));
            *e = call("fg_overlay", args);
        }
        Expr::Trim { trim_where, trim_what, expr: value, trim_characters } => {
            let mode = trim_where.as_ref().map_or("both".to_owned(), |w| w.to_string().to_lowercase());
            let what = trim_what.as_mut().map(|w| take(w)).or_else(|| trim_characters.as_mut().and_then(Vec::pop));
            *e = call("fg_trim", vec![string(mode), take(value), what.unwrap_or_else(|| string(" "))]);
        }
        Expr::SimilarTo { negated, expr: value, pattern, escape_char } => {
            let mark = match escape_char {
                Some(escape) => super::forms::escape_mark(escape, Family::Postgres)?,
                None => Some('\\'),
            };
            let Some(text) = as_string(pattern) else { return Err(Error::unsupported("SIMILAR TO with a computed pattern")) };
            let matched = call("fg_regexp", vec![take(value), string(similar(text, mark))]);
            *e = if *negated { not(matched) } else { matched };
        }
        // `x = ANY('{1,2}')`: the literal is an array.
        Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => {
            if let Some(text) = as_string(right).filter(|t| t.starts_with('{')) {
                **right = array_literal::expression(array_literal::parse(text)?, &|text| {
                    Ok(match text {
                        Some(text) if text.parse::<i64>().is_ok() => Expr::Value(Value::Number(text, false).into()),
                        Some(text) => string(text),
                        None => hole(),
                    })
                })?;
            }
            super::build::spell_out_array(e);
        }
        Expr::Function(f) => {
            if let Some(new) = function(f) {
                *e = new;
            }
        }
        _ => {}
    }
    Ok(())
}

fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_literal(inner),
        Expr::Value(_) => true,
        _ => false,
    }
}

/// A pattern of SIMILAR TO, whose escape is `mark`, as a regular expression.
fn similar(pattern: &str, mark: Option<char>) -> String {
    let mut out = String::from("^(?:");
    let mut chars = pattern.chars();
    let mut within = false;
    while let Some(ch) = chars.next() {
        match ch {
            ch if Some(ch) == mark => match chars.next() {
                Some(next) if next.is_ascii_alphanumeric() || !next.is_ascii() => out.push(next),
                Some(next) => out.extend(['\\', next]),
                None => {}
            },
            '\\' => out.push_str("\\\\"),
            // What stands in brackets is what it is in a regular expression.
            '[' if !within => {
                within = true;
                out.push('[');
            }
            ']' if within => {
                within = false;
                out.push(']');
            }
            ch if within => out.push(ch),
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '.' | '^' | '$' => {
                out.push('\\');
                out.push(ch);
            }
            other => out.push(other),
        }
    }
    out + ")$"
}

fn typed(function: &Function, ty: &SqlType) -> Expr {
    call(cast_name(), vec![Expr::Function(function.clone()), string(type_argument(ty))])
}

/// Rewrites a call; Some: it became another expression.
fn function(function: &mut Function) -> Option<Expr> {
    let name = function.name.to_string().to_lowercase();
    match name.as_str() {
        // The engine counts these without a sign.
        "row_number" | "rank" | "dense_rank" if function.over.is_some() => {
            return Some(typed(function, &SqlType::Int64 { unsigned: false }));
        }
        "ntile" if function.over.is_some() => return Some(typed(function, &SqlType::Int32 { unsigned: false })),
        "array_length" | "cardinality" | "array_ndims" | "array_position" => {
            return Some(typed(function, &SqlType::Int32 { unsigned: false }));
        }
        // Some types have an order of their own.
        "min" | "max" => {
            wrap_arguments(function, "fg_ordered");
            return Some(call("fg_unordered", vec![Expr::Function(function.clone())]));
        }
        "overlay" => rename(function, "fg_overlay"),
        "substr" => rename(function, "fg_pg_substr"),
        "abs" => rename(function, "fg_pg_abs"),
        "sum" => wrap_arguments(function, "fg_pg_sum"),
        "avg" => {
            // Rounded as every quotient; DataFusion's own cuts.
            let mut count = function.clone();
            rename(&mut count, "count");
            rename(function, "sum");
            wrap_arguments(function, "fg_pg_avg");
            return Some(call("fg_pg_div", vec![Expr::Function(function.clone()), Expr::Function(count)]));
        }
        "every" => rename(function, "bool_and"),
        "variance" => rename(function, "var_samp"),
        "regexp_matches" => rename(function, "regexp_match"),
        "string_agg" => {
            if let Some(value) = arguments(function).into_iter().next() {
                *value = call("fg_text", vec![take(value)]);
            }
        }
        "json_agg" | "jsonb_agg" => {
            let value = call("fg_json_value", arguments(function).into_iter().map(take).collect());
            return Some(json_aggregate(function, "[", value, "]"));
        }
        "json_object_agg" | "jsonb_object_agg" => {
            let mut taken: Vec<Expr> = arguments(function).into_iter().map(take).collect();
            let (value, key) = (taken.pop()?, taken.pop()?);
            let key = call("json_quote", vec![call("fg_text", vec![key])]);
            let member = call("concat", vec![key, string(": "), call("fg_json_value", vec![value])]);
            return Some(json_aggregate(function, "{", member, "}"));
        }
        // In a select list these give rows.
        "generate_series" => return Some(call("unnest", vec![Expr::Function(function.clone())])),
        _ => {}
    }
    None
}
