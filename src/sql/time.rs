//! Time expressions: from a clause to the TSO that it means, once per execution.
//!
//! Rules (docs/sql.md repeats them for users). A moment without a zone is read in the session's zone; in the gap of a
//! daylight-saving change it moves forward by the gap, in the fold it is the earlier of the two. Years, months, weeks
//! and days are added on the calendar of that zone, hours and less on the clock. `NOW()` keeps its microseconds unless
//! digits are asked for, and `UTC_TIMESTAMP()` is the same moment as `NOW()`. A literal with more than six digits of
//! the second is an error; a parameter with nanoseconds is cut. Only constants may stand in a time expression.

use datafusion::scalar::ScalarValue;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, Zoned};

use super::ast::{BinaryOperator, CastKind, DataType, Expr, Function, TimezoneInfo, UnaryOperator, Value};
use super::statement::{TimeClause, TimeKind};
use super::{build, interval, moment};
use crate::error::{Error, Kind, Result};
use crate::time::{Tso, postgres_place};

/// What a time expression is evaluated with.
pub struct TimeContext<'a> {
    /// The session's zone.
    pub zone: TimeZone,
    /// The time of the statement: what `NOW()` is.
    pub now: Tso,
    /// The values of the parameters, `$1` first.
    pub params: &'a [ScalarValue],
}

/// The TSO that `clause` means. [`Kind::NotConstantTime`] when it is not one constant moment; whether it lies in the
/// future is for the clock to say.
pub fn evaluate(clause: &TimeClause, context: &TimeContext) -> Result<Tso> {
    match clause.kind {
        TimeKind::Tso => tso(&clause.expr, context),
        TimeKind::Timestamp => match value(&clause.expr, context)? {
            Moment::At(zoned) => Tso::from_timestamp(zoned.timestamp()),
            Moment::Text(text) => Tso::from_timestamp(moment::parse(&text, &context.zone)?.timestamp()),
            Moment::Number(_) => Err(not_constant(&clause.expr, "is a number, not a time").with_hint("write AS OF TSO for a TSO")),
            Moment::Span(_) => Err(not_constant(&clause.expr, "is an interval, not a time")),
        },
    }
}

/// An error that says why an expression is not a constant time.
fn not_constant(expr: &Expr, why: &str) -> Error {
    Error::new(Kind::NotConstantTime, format!("the time expression {} {why}", short(expr)))
}

fn short(expr: &Expr) -> String {
    let text = expr.to_string();
    if text.chars().count() <= 60 { text } else { text.chars().take(60).chain("..".chars()).collect() }
}

/// A TSO: a whole number, a parameter, sums and shifts of them.
fn tso(expr: &Expr, context: &TimeContext) -> Result<Tso> {
    let number = whole(expr, context)?;
    match u64::try_from(number) {
        Ok(number) if number <= Tso::MAX.0 => Ok(Tso(number)),
        _ => Err(not_constant(expr, "is not a TSO: a TSO lies between 0 and 2^63 - 1")),
    }
}

fn whole(expr: &Expr, context: &TimeContext) -> Result<i128> {
    let bad = || not_constant(expr, "is not a constant TSO: a whole number").with_hint("write AS OF TIMESTAMP for a date and time");
    let parse = |text: &str| text.trim().parse::<i128>().map_err(|_| bad());
    match expr {
        Expr::Nested(inner) => whole(inner, context),
        Expr::Cast { expr, .. } => whole(expr, context),
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => whole(expr, context),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Ok(-whole(expr, context)?),
        Expr::BinaryOp { left, op, right } => {
            let (left, right) = (whole(left, context)?, whole(right, context)?);
            match op {
                BinaryOperator::Plus => left.checked_add(right),
                BinaryOperator::Minus => left.checked_sub(right),
                BinaryOperator::Multiply => left.checked_mul(right),
                BinaryOperator::PGBitwiseShiftLeft => {
                    u32::try_from(right).ok().filter(|n| *n < 64).and_then(|n| left.checked_mul(1i128 << n))
                }
                _ => None,
            }
            .ok_or_else(bad)
        }
        Expr::Value(v) => match &v.value {
            Value::Number(digits, _) => parse(digits),
            Value::SingleQuotedString(text) => parse(text),
            Value::Placeholder(name) => match param(name, context)? {
                ScalarValue::Utf8(Some(s)) | ScalarValue::LargeUtf8(Some(s)) | ScalarValue::Utf8View(Some(s)) => parse(s),
                other => scalar_integer(other).ok_or_else(bad),
            },
            _ => Err(bad()),
        },
        _ => Err(bad()),
    }
}

fn scalar_integer(value: &ScalarValue) -> Option<i128> {
    Some(match value {
        ScalarValue::Int8(Some(n)) => i128::from(*n),
        ScalarValue::Int16(Some(n)) => i128::from(*n),
        ScalarValue::Int32(Some(n)) => i128::from(*n),
        ScalarValue::Int64(Some(n)) => i128::from(*n),
        ScalarValue::UInt8(Some(n)) => i128::from(*n),
        ScalarValue::UInt16(Some(n)) => i128::from(*n),
        ScalarValue::UInt32(Some(n)) => i128::from(*n),
        ScalarValue::UInt64(Some(n)) => i128::from(*n),
        ScalarValue::Decimal128(Some(n), _, 0) => *n,
        _ => return None,
    })
}

/// The value of `$n`.
fn param<'a>(name: &str, context: &TimeContext<'a>) -> Result<&'a ScalarValue> {
    let index = name.trim_start_matches('$').parse::<usize>().ok().and_then(|n| n.checked_sub(1));
    match index.and_then(|i| context.params.get(i)) {
        Some(value) if value.is_null() => Err(Error::new(Kind::NotConstantTime, format!("the time parameter {name} is NULL"))),
        Some(value) => Ok(value),
        None => Err(Error::new(Kind::NotConstantTime, format!("the time parameter {name} has no value"))),
    }
}

/// What a part of a time expression is.
enum Moment {
    At(Zoned),
    Span(Span),
    /// A number, as text: seconds since 1970, or the count of an interval.
    Number(String),
    /// A text that may become any of the others.
    Text(String),
}

fn value(expr: &Expr, context: &TimeContext) -> Result<Moment> {
    match expr {
        Expr::Nested(inner) => value(inner, context),
        Expr::Value(v) => literal(expr, &v.value, context),
        Expr::TypedString(typed) => {
            let text = build::value_text(&typed.value.value).ok_or_else(|| not_constant(expr, "is not a time"))?;
            cast(expr, Moment::Text(text.to_owned()), &typed.data_type, context)
        }
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr: inner, data_type, .. } => {
            cast(expr, value(inner, context)?, data_type, context)
        }
        Expr::Interval(i) => Ok(Moment::Span(interval_value(expr, i, context)?)),
        Expr::BinaryOp { left, op: op @ (BinaryOperator::Plus | BinaryOperator::Minus), right } => {
            sum(expr, value(left, context)?, *op == BinaryOperator::Minus, value(right, context)?, context)
        }
        Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => match value(inner, context)? {
            Moment::Span(span) => Ok(Moment::Span(span.negate())),
            Moment::Number(digits) => Ok(Moment::Number(format!("-{digits}"))),
            _ => Err(not_constant(expr, "is not a time")),
        },
        Expr::AtTimeZone { timestamp, time_zone } => at_zone(expr, timestamp, time_zone, context),
        Expr::Function(function) => call(expr, function, context),
        Expr::Identifier(ident) if ident.quote_style.is_none() => match clock(&ident.value, None, context) {
            Some(time) => Ok(Moment::At(time)),
            None => Err(not_constant(expr, "is not constant: columns may not stand in it")),
        },
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => Err(not_constant(expr, "is not constant: columns may not stand in it")),
        Expr::Subquery(_) | Expr::Exists { .. } => Err(not_constant(expr, "is not constant: subqueries may not stand in it")),
        _ => Err(not_constant(expr, "is not a constant time")),
    }
}

fn literal(expr: &Expr, literal: &Value, context: &TimeContext) -> Result<Moment> {
    match literal {
        Value::Number(digits, _) => Ok(Moment::Number(digits.clone())),
        Value::Placeholder(name) => of_scalar(name, param(name, context)?, context),
        Value::Null => Err(not_constant(expr, "is NULL")),
        other => match build::value_text(other) {
            Some(text) => Ok(Moment::Text(text.to_owned())),
            None => Err(not_constant(expr, "is not a time")),
        },
    }
}

fn of_scalar(name: &str, value: &ScalarValue, context: &TimeContext) -> Result<Moment> {
    let stamp = |micros: Option<i64>, zoned: bool| -> Result<Moment> {
        let stamp = micros.and_then(|us| Timestamp::from_microsecond(us).ok());
        let stamp = stamp.ok_or_else(|| Error::new(Kind::NotConstantTime, format!("the time parameter {name} is out of range")))?;
        if zoned {
            return Ok(Moment::At(stamp.to_zoned(context.zone.clone())));
        }
        // Without a zone it is a wall clock reading, kept as if in UTC.
        moment::in_zone(stamp.to_zoned(TimeZone::UTC).datetime(), &context.zone).map(Moment::At)
    };
    match value {
        ScalarValue::Utf8(Some(s)) | ScalarValue::LargeUtf8(Some(s)) | ScalarValue::Utf8View(Some(s)) => Ok(Moment::Text(s.clone())),
        ScalarValue::TimestampSecond(Some(v), zone) => stamp(v.checked_mul(1_000_000), zone.is_some()),
        ScalarValue::TimestampMillisecond(Some(v), zone) => stamp(v.checked_mul(1_000), zone.is_some()),
        ScalarValue::TimestampMicrosecond(Some(v), zone) => stamp(Some(*v), zone.is_some()),
        ScalarValue::TimestampNanosecond(Some(v), zone) => stamp(Some(v.div_euclid(1_000)), zone.is_some()),
        ScalarValue::Date32(Some(days)) => stamp(Some(i64::from(*days) * 86_400_000_000), false),
        ScalarValue::Date64(Some(ms)) => stamp(ms.checked_mul(1_000), false),
        ScalarValue::IntervalMonthDayNano(Some(v)) => interval::of_parts((v.months, v.days, v.nanoseconds / 1_000))
            .map(Moment::Span)
            .ok_or_else(|| Error::new(Kind::NotConstantTime, format!("the parts of the interval {name} differ in sign"))),
        ScalarValue::Float64(Some(n)) => Ok(Moment::Number(n.to_string())),
        ScalarValue::Float32(Some(n)) => Ok(Moment::Number(n.to_string())),
        other => match scalar_integer(other) {
            Some(number) => Ok(Moment::Number(number.to_string())),
            None => Err(Error::new(Kind::NotConstantTime, format!("the time parameter {name} is not a time: {}", other.data_type()))),
        },
    }
}

/// `'x'::timestamptz`, `CAST(.. AS DATETIME)`, `DATE '..'`.
fn cast(expr: &Expr, inner: Moment, target: &DataType, context: &TimeContext) -> Result<Moment> {
    let zoned = |inner: Moment| match inner {
        Moment::At(zoned) => Ok(zoned),
        Moment::Text(text) => moment::parse(&text, &context.zone),
        _ => Err(not_constant(expr, "is not a time")),
    };
    match target {
        DataType::Timestamp(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone)
        | DataType::Timestamp(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz)
        | DataType::TimestampNtz(_)
        | DataType::Datetime(_) => Ok(Moment::At(zoned(inner)?)),
        DataType::Date => Ok(Moment::At(midnight(zoned(inner)?.date(), context)?)),
        DataType::Interval { .. } => match inner {
            Moment::Text(text) => Ok(Moment::Span(interval::parse(&text)?)),
            Moment::Span(span) => Ok(Moment::Span(span)),
            _ => Err(not_constant(expr, "is not an interval")),
        },
        DataType::Text | DataType::Varchar(_) | DataType::Char(_) | DataType::CharacterVarying(_) => match inner {
            Moment::Text(text) => Ok(Moment::Text(text)),
            _ => Err(not_constant(expr, "casts a time to text")),
        },
        DataType::Int(_) | DataType::Integer(_) | DataType::BigInt(_) | DataType::Numeric(_) | DataType::Decimal(_) => match inner {
            Moment::Number(digits) | Moment::Text(digits) => Ok(Moment::Number(digits)),
            _ => Err(not_constant(expr, "is not a number")),
        },
        _ => Err(not_constant(expr, "casts to a type that is not a time")),
    }
}

fn midnight(date: Date, context: &TimeContext) -> Result<Zoned> {
    moment::in_zone(date.at(0, 0, 0, 0), &context.zone)
}

/// Time +- interval, interval +- interval, number +- number.
fn sum(expr: &Expr, left: Moment, minus: bool, right: Moment, context: &TimeContext) -> Result<Moment> {
    let out = |e: jiff::Error| not_constant(expr, &format!("is out of range: {e}"));
    match (left, right) {
        (Moment::At(at), Moment::Span(span)) => shift(expr, at, if minus { span.negate() } else { span }).map(Moment::At),
        (Moment::Text(text), Moment::Span(span)) => {
            let at = moment::parse(&text, &context.zone)?;
            shift(expr, at, if minus { span.negate() } else { span }).map(Moment::At)
        }
        (Moment::Span(span), Moment::At(at)) if !minus => shift(expr, at, span).map(Moment::At),
        (Moment::Span(span), Moment::Text(text)) if !minus => shift(expr, moment::parse(&text, &context.zone)?, span).map(Moment::At),
        (Moment::Span(a), Moment::Span(b)) => {
            let b = if minus { b.negate() } else { b };
            interval::add(a, b).map(Moment::Span).map_err(out)
        }
        // PostgreSQL: now() - '1 hour'.
        (Moment::At(at), Moment::Text(text)) => {
            let span = interval::parse(&text)?;
            shift(expr, at, if minus { span.negate() } else { span }).map(Moment::At)
        }
        (Moment::Number(a), Moment::Number(b)) => {
            let (Ok(a), Ok(b)) = (a.parse::<f64>(), b.parse::<f64>()) else { return Err(not_constant(expr, "is not a number")) };
            Ok(Moment::Number((if minus { a - b } else { a + b }).to_string()))
        }
        _ => Err(not_constant(expr, "adds or subtracts what is not an interval")),
    }
}

/// Calendar units on the zone's calendar, the rest on the clock.
fn shift(expr: &Expr, at: Zoned, span: Span) -> Result<Zoned> {
    at.checked_add(span).map_err(|e| not_constant(expr, &format!("is out of range: {e}")))
}

fn interval_value(expr: &Expr, interval: &super::ast::Interval, context: &TimeContext) -> Result<Span> {
    let text = match value(&interval.value, context)? {
        Moment::Number(text) | Moment::Text(text) => text,
        Moment::Span(span) if interval.leading_field.is_none() => return Ok(span),
        _ => return Err(not_constant(expr, "is not an interval")),
    };
    match &interval.leading_field {
        None => interval::parse(&text),
        Some(_) if interval.last_field.is_some() => Err(Error::unsupported("an interval with a range of units")),
        Some(field) => interval::of_unit(&text, &field.to_string()),
    }
}

/// `t AT TIME ZONE 'z'` of a text without zone: the moment at which clocks in z show it.
fn at_zone(expr: &Expr, timestamp: &Expr, zone: &Expr, context: &TimeContext) -> Result<Moment> {
    let name = build::string_value(zone).ok_or_else(|| not_constant(expr, "names its zone with something else than a text"))?;
    let zone = postgres_place(name)?;
    let text = match timestamp {
        Expr::TypedString(typed) => build::value_text(&typed.value.value).map(str::to_owned),
        Expr::Cast { expr, .. } => build::string_value(expr).map(str::to_owned),
        Expr::Nested(inner) => return at_zone(expr, inner, &super::build::string(name), context),
        other => match value(other, context)? {
            Moment::Text(text) => Some(text),
            _ => None,
        },
    };
    match text {
        Some(text) => moment::parse(&text, &zone).map(Moment::At),
        None => Err(not_constant(expr, "uses AT TIME ZONE on something else than a literal")),
    }
}

/// The clock functions by name. `digits`: of the second.
fn clock(name: &str, digits: Option<u32>, context: &TimeContext) -> Option<Zoned> {
    let now = context.now.timestamp().to_zoned(context.zone.clone());
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "now"
        | "current_timestamp"
        | "localtimestamp"
        | "localtime"
        | "sysdate"
        | "utc_timestamp"
        | "statement_timestamp"
        | "clock_timestamp"
        | "transaction_timestamp" => match digits {
            None => Some(now),
            Some(digits) => {
                let unit = 10i64.pow(6u32.saturating_sub(digits));
                let micros = now.timestamp().as_microsecond();
                Timestamp::from_microsecond(micros - micros.rem_euclid(unit)).ok().map(|t| t.to_zoned(context.zone.clone()))
            }
        },
        "current_date" | "curdate" | "utc_date" => now.start_of_day().ok(),
        _ => None,
    }
}

fn call(expr: &Expr, function: &Function, context: &TimeContext) -> Result<Moment> {
    let unknown = || not_constant(expr, "is not a constant time: this function may not stand in it");
    if function.over.is_some() || function.filter.is_some() || !function.within_group.is_empty() {
        return Err(unknown());
    }
    let name = build::function_name(function).ok_or_else(unknown)?.to_ascii_lowercase();
    let args = build::arguments(function).ok_or_else(unknown)?;
    let digits = match args.as_slice() {
        [] => Some(None),
        [one] => build::number(one).and_then(|n| n.parse::<u32>().ok()).filter(|n| *n <= 6).map(Some),
        _ => None,
    };
    if let Some(digits) = digits
        && let Some(time) = clock(&name, digits, context)
    {
        return Ok(Moment::At(time));
    }
    match (name.as_str(), args.as_slice()) {
        ("date_sub" | "subdate", [at, by]) => sum(expr, value(at, context)?, true, days_or_span(by, context)?, context),
        ("date_add" | "adddate", [at, by]) => sum(expr, value(at, context)?, false, days_or_span(by, context)?, context),
        ("from_unixtime" | "to_timestamp", [seconds]) => match value(seconds, context)? {
            Moment::Number(text) => unix(expr, &text, context),
            Moment::Text(text) if name == "from_unixtime" => unix(expr, &text, context),
            _ => Err(unknown()),
        },
        ("timestamp", [text]) => match value(text, context)? {
            Moment::Text(text) => moment::parse(&text, &context.zone).map(Moment::At),
            at @ Moment::At(_) => Ok(at),
            _ => Err(unknown()),
        },
        ("date", [text]) => cast(expr, value(text, context)?, &DataType::Date, context),
        ("date_trunc", [unit, at]) => {
            let unit = build::string_value(unit).ok_or_else(unknown)?;
            match value(at, context)? {
                Moment::At(at) => moment::truncate(&at, unit).map(Moment::At),
                _ => Err(unknown()),
            }
        }
        _ => Err(unknown()),
    }
}

/// MySQL's second argument of DATE_ADD: an interval, or a number of days.
fn days_or_span(expr: &Expr, context: &TimeContext) -> Result<Moment> {
    Ok(match value(expr, context)? {
        Moment::Number(days) => Moment::Span(interval::of_unit(&days, "DAY")?),
        other => other,
    })
}

/// Seconds since 1970, with up to six digits of fraction.
fn unix(expr: &Expr, seconds: &str, context: &TimeContext) -> Result<Moment> {
    let micros = interval::micros_of_seconds(seconds).ok_or_else(|| not_constant(expr, "is not a number of seconds"))?;
    let stamp =
        Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_micros(micros)).map_err(|_| not_constant(expr, "is out of range"))?;
    Ok(Moment::At(stamp.to_zoned(context.zone.clone())))
}
