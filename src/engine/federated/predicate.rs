//! Filters of a query as SQL text for the upstream: only those that mean the same there, or let more rows through.

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator, expr::InList};
use datafusion::scalar::ScalarValue;

use crate::sql::{Dialect, printer};
use crate::types::SqlType;
use crate::types::coerce::format::{civil_text, date_text, decimal_text, time_text};
use crate::upstream::HotColumn;

/// Values of an IN that are sent.
pub(super) const MOST_VALUES: usize = 1000;

/// A longer condition is not asked for: a server that gets more than it takes closes the connection.
pub(super) const MOST_BYTES: usize = 256 << 10;

/// 0001-01-01 and 9999-12-31, in days since 1970-01-01.
const FIRST_DAY: i64 = -719_162;
const LAST_DAY: i64 = 2_932_896;
const DAY_MICROS: i64 = 86_400_000_000;

/// Writes filters over one table.
pub(super) struct PredicateWriter<'a> {
    pub columns: &'a [HotColumn],
    pub schema: &'a SchemaRef,
    pub dialect: &'a Dialect,
}

/// A text, and whether it lets through exactly the rows that the filter does.
type Predicate = (String, bool);

impl PredicateWriter<'_> {
    /// The filter for the upstream; None: it is not sent.
    pub fn predicate(&self, filter: &Expr) -> Option<Predicate> {
        self.text_of(filter).filter(|(text, _)| text.len() <= MOST_BYTES)
    }

    fn text_of(&self, filter: &Expr) -> Option<Predicate> {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
                let ((left, a), (right, b)) = (self.text_of(left)?, self.text_of(right)?);
                Some((format!("({left} {op} {right})"), a && b))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (left.as_ref(), right.as_ref()) {
                (Expr::Column(_), Expr::Literal(value, _)) => self.compared(left, *op, value),
                (Expr::Literal(value, _), Expr::Column(_)) => self.compared(right, op.swap()?, value),
                _ => None,
            },
            Expr::IsNull(inner) => Some((format!("{} IS NULL", self.column(inner)?.1), true)),
            Expr::IsNotNull(inner) => Some((format!("{} IS NOT NULL", self.column(inner)?.1), true)),
            Expr::Between(Between { expr, negated: false, low, high }) => {
                let (Expr::Literal(low, _), Expr::Literal(high, _)) = (low.as_ref(), high.as_ref()) else { return None };
                let ((low, a), (high, b)) = (self.compared(expr, Operator::GtEq, low)?, self.compared(expr, Operator::LtEq, high)?);
                Some((format!("({low} AND {high})"), a && b))
            }
            Expr::InList(InList { expr, list, negated }) if list.len() <= MOST_VALUES => {
                let (column, mut quoted) = self.column(expr)?;
                if list.iter().any(|item| matches!(item, Expr::Literal(value, _) if self.is_foreign(value))) {
                    quoted = converted(&quoted);
                }
                let mut exact = true;
                let mut values = Vec::with_capacity(list.len());
                for item in list {
                    let Expr::Literal(value, _) = item else { return None };
                    let (text, same) = self.literal(column, value)?;
                    exact &= same;
                    values.push(text);
                }
                // What is equal to more values here is not in fewer lists there.
                if values.is_empty() || (*negated && !exact) {
                    return None;
                }
                Some((format!("{quoted} {}IN ({})", if *negated { "NOT " } else { "" }, values.join(", ")), exact))
            }
            Expr::Column(_) => {
                let (column, quoted) = self.column(filter)?;
                (column.ty == SqlType::Bool).then_some((quoted, true))
            }
            _ => None,
        }
    }

    fn compared(&self, column: &Expr, op: Operator, value: &ScalarValue) -> Option<Predicate> {
        let (column, mut quoted) = self.column(column)?;
        if let (SqlType::Timestamp { .. }, ScalarValue::TimestampMicrosecond(Some(micros), Some(_))) = (&column.ty, value)
            && self.dialect.is_mysql()
        {
            return Some((format!("{quoted} {}", around(op, *micros)?), false));
        }
        let (text, exact) = self.literal(column, value)?;
        if self.is_foreign(value) {
            quoted = converted(&quoted);
        }
        let op = match op {
            Operator::Eq => "=",
            // Collations order texts and find them equal in their own ways.
            _ if !exact => return None,
            Operator::NotEq => "<>",
            Operator::Lt => "<",
            Operator::LtEq => "<=",
            Operator::Gt => ">",
            Operator::GtEq => ">=",
            _ => return None,
        };
        Some((format!("{quoted} {op} {text}"), exact))
    }

    fn column(&self, expr: &Expr) -> Option<(&HotColumn, String)> {
        let Expr::Column(column) = expr else { return None };
        let column = self.columns.get(self.schema.index_of(&column.name).ok()?)?;
        Some((column, printer::quoted(self.dialect, &column.name)))
    }

    /// A value to compare a column with; false: more may be equal there than here.
    fn literal(&self, column: &HotColumn, value: &ScalarValue) -> Option<Predicate> {
        if value.is_null() {
            return None;
        }
        if !self.has_form(value) {
            return None;
        }
        let exact = |text: String| Some((text, true));
        let whole = match value {
            ScalarValue::Int8(Some(n)) => Some(i128::from(*n)),
            ScalarValue::Int16(Some(n)) => Some(i128::from(*n)),
            ScalarValue::Int32(Some(n)) => Some(i128::from(*n)),
            ScalarValue::Int64(Some(n)) => Some(i128::from(*n)),
            ScalarValue::UInt8(Some(n)) => Some(i128::from(*n)),
            ScalarValue::UInt16(Some(n)) => Some(i128::from(*n)),
            ScalarValue::UInt32(Some(n)) => Some(i128::from(*n)),
            ScalarValue::UInt64(Some(n)) => Some(i128::from(*n)),
            _ => None,
        };
        match (&column.ty, value) {
            (SqlType::Int8 { .. } | SqlType::Int16 { .. } | SqlType::Int24 { .. } | SqlType::Int32 { .. } | SqlType::Int64 { .. }, _)
                if column.fetch.is_none() =>
            {
                exact(whole?.to_string())
            }
            (SqlType::Bool, ScalarValue::Boolean(Some(b))) => exact(if *b { "TRUE" } else { "FALSE" }.to_owned()),
            (SqlType::Decimal { .. }, ScalarValue::Decimal128(Some(n), _, scale)) => exact(decimal_text(*n, *scale)),
            (SqlType::Decimal { .. }, _) => exact(whole?.to_string()),
            (SqlType::Date, ScalarValue::Date32(Some(days))) => exact(format!("DATE '{}'", date_text(i64::from(*days)))),
            (SqlType::Time { .. }, ScalarValue::Time64Microsecond(Some(micros))) => exact(format!("TIME '{}'", time_text(*micros, 6))),
            (SqlType::DateTime { .. }, ScalarValue::TimestampMicrosecond(Some(micros), None)) => {
                exact(format!("TIMESTAMP '{}'", civil_text(*micros, 6)))
            }
            (SqlType::Timestamp { .. }, ScalarValue::TimestampMicrosecond(Some(micros), Some(_))) if !self.dialect.is_mysql() => {
                exact(format!("TIMESTAMPTZ '{}+00'", civil_text(*micros, 6)))
            }
            (SqlType::Timestamp { .. }, ScalarValue::TimestampMicrosecond(Some(micros), Some(_))) => Some((moment(*micros)?, false)),
            (SqlType::Text | SqlType::VarChar { .. } | SqlType::Char { .. }, ScalarValue::Utf8(Some(text)))
            | (SqlType::Text | SqlType::VarChar { .. } | SqlType::Char { .. }, ScalarValue::Utf8View(Some(text)))
            | (SqlType::Text | SqlType::VarChar { .. } | SqlType::Char { .. }, ScalarValue::LargeUtf8(Some(text))) => {
                Some((self.text(column, text)?, false))
            }
            _ => None,
        }
    }

    /// Can a literal say it? Years before the first are written in other ways, and MySQL has none after 9999.
    fn has_form(&self, value: &ScalarValue) -> bool {
        let days = match value {
            ScalarValue::Date32(Some(days)) => i64::from(*days),
            ScalarValue::TimestampMicrosecond(Some(micros), _) => micros.div_euclid(DAY_MICROS),
            _ => return true,
        };
        // A day less at both ends: a zone may move a moment.
        (FIRST_DAY + 1..LAST_DAY).contains(&days)
    }

    /// MySQL: may a column's character set lack what stands in it? To compare the two would be an error.
    fn is_foreign(&self, value: &ScalarValue) -> bool {
        self.dialect.is_mysql() && value.try_as_str().flatten().is_some_and(|text| !text.is_ascii())
    }

    fn text(&self, column: &HotColumn, text: &str) -> Option<String> {
        if self.dialect.is_mysql() {
            return Some(if text.is_empty() { "_utf8mb4''".to_owned() } else { format!("_utf8mb4 0x{}", hex::encode(text)) });
        }
        // What comes as text but is none (an enum, an address) may not take this one.
        if column.fetch.is_some() || text.contains('\0') {
            return None;
        }
        let quoted = text.replace('\'', "''");
        Some(if text.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") })
    }
}

/// A column of MySQL's in a character set that has all there is. It costs the use of an index.
fn converted(quoted: &str) -> String {
    format!("CONVERT({quoted} USING utf8mb4)")
}

/// A moment for MySQL, whatever the session's zone is there: what we know of `SYSTEM` is its offset of today.
fn moment(micros: i64) -> Option<String> {
    let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    // 31 bits of seconds, but for a day at both ends: there the local text may be out of the type's range.
    (86_400..=i64::from(i32::MAX) - 86_400).contains(&seconds).then(|| format!("FROM_UNIXTIME({seconds}.{micros:06})"))
}

/// The comparison of a TIMESTAMP with a moment. MySQL compares their local texts, and an hour that comes twice has the
/// same ones: so what is before or after gets a day more.
fn around(op: Operator, micros: i64) -> Option<String> {
    Some(match op {
        Operator::Eq => format!("= {}", moment(micros)?),
        Operator::Lt | Operator::LtEq => format!("<= {}", moment(micros + DAY_MICROS)?),
        Operator::Gt | Operator::GtEq => format!(">= {}", moment(micros - DAY_MICROS)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::{Field, Schema};
    use datafusion::prelude::{col, lit};

    use super::*;

    fn predicate(dialect: &Dialect, filter: &Expr) -> Option<Predicate> {
        let moment = SqlType::Timestamp { fsp: 6 };
        let columns =
            [("n", SqlType::Int32 { unsigned: false }), ("s", SqlType::VarChar { length: 9 }), ("d", SqlType::Date), ("t", moment)]
                .map(|(name, ty)| HotColumn { name: name.to_owned(), ty, fetch: None, nullable: true });
        let schema = Arc::new(Schema::new(columns.iter().map(|c| Field::new(&c.name, c.ty.arrow(), true)).collect::<Vec<_>>()));
        PredicateWriter { columns: &columns, schema: &schema, dialect }.predicate(filter)
    }

    #[test]
    fn a_moment_means_the_same_in_every_zone() {
        let at = |micros| lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
        let my = |filter: &Expr| predicate(&Dialect::MYSQL, filter);
        let wide = |text: &str| Some((text.to_owned(), false));
        let micros = 1_641_377_100_500_000;
        assert_eq!(my(&col("t").eq(at(micros))), wide("`t` = FROM_UNIXTIME(1641377100.500000)"));
        assert_eq!(my(&col("t").in_list(vec![at(micros)], false)), wide("`t` IN (FROM_UNIXTIME(1641377100.500000))"));
        assert_eq!(my(&col("t").lt(at(micros))), wide("`t` <= FROM_UNIXTIME(1641463500.500000)"));
        assert_eq!(my(&col("t").gt_eq(at(micros))), wide("`t` >= FROM_UNIXTIME(1641290700.500000)"));
        assert_eq!((my(&col("t").not_eq(at(micros))), my(&col("t").eq(at(-1)))), (None, None));
        let exact = "\"t\" < TIMESTAMPTZ '2022-01-05 10:05:00.500000+00'";
        assert_eq!(predicate(&Dialect::POSTGRES, &col("t").lt(at(micros))), Some((exact.to_owned(), true)));
    }

    #[test]
    fn what_may_not_be_in_a_columns_character_set_is_compared_in_another_and_what_is_long_not_at_all() {
        let my = |filter: &Expr| predicate(&Dialect::MYSQL, filter);
        let wide = |text: &str| Some((text.to_owned(), false));
        assert_eq!(my(&col("s").eq(lit("é"))), wide("CONVERT(`s` USING utf8mb4) = _utf8mb4 0xc3a9"));
        let list = "CONVERT(`s` USING utf8mb4) IN (_utf8mb4 0x61, _utf8mb4 0xc3a9)";
        assert_eq!(my(&col("s").in_list(vec![lit("a"), lit("é")], false)), wide(list));
        for dialect in [Dialect::MYSQL, Dialect::POSTGRES] {
            let long = |length| predicate(&dialect, &col("s").eq(lit("x".repeat(length))));
            assert_eq!((long(100_000).is_some(), long(300_000).is_some()), (true, false));
        }
    }

    #[test]
    fn numbers_and_days_are_asked_for_exactly_and_texts_by_what_is_equal() {
        let my = |filter: &Expr| predicate(&Dialect::MYSQL, filter);
        let pg = |filter: &Expr| predicate(&Dialect::POSTGRES, filter);
        let exact = |text: &str| Some((text.to_owned(), true));
        assert_eq!(my(&col("n").gt(lit(5)).and(col("n").is_not_null())), exact("(`n` > 5 AND `n` IS NOT NULL)"));
        assert_eq!(pg(&lit(5).gt(col("n"))), exact("\"n\" < 5"));
        assert_eq!(pg(&col("n").in_list(vec![lit(1), lit(-2)], true)), exact("\"n\" NOT IN (1, -2)"));
        assert_eq!(pg(&col("d").eq(lit(ScalarValue::Date32(Some(0))))), exact("\"d\" = DATE '1970-01-01'"));
        assert_eq!(my(&col("s").eq(lit("o'u"))), Some(("`s` = _utf8mb4 0x6f2775".to_owned(), false)));
        assert_eq!(pg(&col("s").eq(lit("o'\\u"))), Some(("\"s\" = E'o''\\\\u'".to_owned(), false)));
        // An order, or what is not equal, is a matter of collations.
        for filter in [col("s").gt(lit("a")), col("s").not_eq(lit("a")), col("s").in_list(vec![lit("a")], true)] {
            assert_eq!((my(&filter), pg(&filter)), (None, None), "{filter}");
        }
        // A year that has no such form is looked for here.
        for (days, asked) in [(-719_163, false), (-719_161, true), (2_932_895, true), (2_932_897, false)] {
            let day = col("d").eq(lit(ScalarValue::Date32(Some(days))));
            assert_eq!((my(&day).is_some(), pg(&day).is_some()), (asked, asked), "{days}");
        }
        // Half of a filter is none.
        assert_eq!(my(&col("n").eq(lit(1)).or(col("s").gt(lit("a")))), None);
        assert_eq!(my(&col("n").eq(col("d"))), None);
    }
}
