//! SQL of both dialects through a DataFusion session, compared with what the databases' manuals say.

use std::sync::Arc;

use datafusion::arrow::array::*;
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::{Dialect, MySqlDialect, PostgreSqlDialect};
use datafusion::sql::sqlparser::parser::Parser;
use jiff::tz::TimeZone;

use super::*;
use crate::engine::functions::{self, FunctionFacts};
use crate::types::coerce::text_of;

/// 2022-07-05 03:11:11.5 UTC, 11:11:11.5 in Shanghai.
const NOW: i64 = 1_656_990_671_500_000;

fn facts() -> FunctionFacts {
    FunctionFacts { zone: TimeZone::get("Asia/Shanghai").unwrap(), now_micros: NOW, signed_subtraction: false, keeps_digits: true }
}

fn session(family: Family) -> SessionContext {
    let ctx = SessionContext::new_with_config(configure(SessionConfig::new().with_target_partitions(1), family));
    functions::register(&ctx, family, &facts(), |_| true);
    register_planners(&ctx, family, &facts());
    let us = TimeUnit::Microsecond;
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("name", DataType::Utf8, true),
        Field::new("qty", DataType::Int32, true),
        Field::new("price", DataType::Decimal128(10, 2), true),
        Field::new("day", DataType::Date32, true),
        Field::new("at", DataType::Timestamp(us, None), true),
        Field::new("moment", DataType::Timestamp(us, Some("UTC".into())), true),
        Field::new("flag", DataType::Boolean, true),
        Field::new("doc", DataType::Utf8, true),
    ]));
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        vec![
            Arc::new(Int64Array::from(vec![1, 2, 3])),
            Arc::new(StringArray::from(vec![Some("Ann"), Some("bob"), None])),
            Arc::new(Int32Array::from(vec![Some(10), Some(3), None])),
            Arc::new(Decimal128Array::from(vec![Some(150), Some(275), None]).with_precision_and_scale(10, 2).unwrap()),
            Arc::new(Date32Array::from(vec![Some(19_178), Some(19_179), None])),
            Arc::new(TimestampMicrosecondArray::from(vec![Some(1_657_019_471_000_000), Some(1_657_105_871_000_000), None])),
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(1_656_990_671_000_000), Some(1_657_077_071_000_000), None]).with_timezone("UTC"),
            ),
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
            Arc::new(StringArray::from(vec![Some(r#"{"a": {"b": [1, "x"]}}"#), Some("[1, 2]"), None])),
        ],
    )
    .unwrap();
    ctx.register_table("t", Arc::new(MemTable::try_new(schema, vec![vec![batch]]).unwrap())).unwrap();
    ctx
}

fn parse(sql: &str, family: Family) -> Box<datafusion::sql::sqlparser::ast::Query> {
    let dialect: Box<dyn Dialect> = match family {
        Family::MySql => Box::new(MySqlDialect {}),
        Family::Postgres => Box::new(PostgreSqlDialect {}),
    };
    match Parser::parse_sql(dialect.as_ref(), sql).unwrap_or_else(|e| panic!("{sql}: {e}")).remove(0) {
        Statement::Query(query) => query,
        other => panic!("{other}"),
    }
}

/// Rows as `a|b;c|d`, NULL as NULL, values as the session's database prints them.
async fn run(sql: &str, family: Family) -> std::result::Result<String, String> {
    run_with(sql, family, &[]).await
}

/// Our error inside one of DataFusion's, when that is what happened.
fn own_error(error: &DataFusionError) -> Option<Error> {
    match error {
        DataFusionError::External(inner) => match inner.downcast_ref::<Error>() {
            Some(own) => Some(own.clone()),
            None => inner.downcast_ref::<DataFusionError>().and_then(own_error),
        },
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            ArrowError::ExternalError(inner) => match inner.downcast_ref::<Error>() {
                Some(own) => Some(own.clone()),
                None => inner.downcast_ref::<DataFusionError>().and_then(own_error),
            },
            _ => None,
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => own_error(inner),
        DataFusionError::Shared(inner) => own_error(inner),
        DataFusionError::Collection(all) => all.iter().find_map(own_error),
        _ => None,
    }
}

async fn run_with(sql: &str, family: Family, params: &[ScalarValue]) -> std::result::Result<String, String> {
    let ctx = session(family);
    let mut query = parse(sql, family);
    let _ = query.visit(&mut Numbered(0));
    bind(query.as_mut(), params, family).map_err(|e| e.to_string())?;
    rewrite(query.as_mut(), family, &DialectContext::default()).map_err(|e| e.to_string())?;
    let shown = query.to_string();
    let show = |e: datafusion::error::DataFusionError| match own_error(&e) {
        Some(own) => format!("{} {}", own.sqlstate(), own.message()),
        None => format!("{e} [{shown}]"),
    };
    let statement = DfStatement::Statement(Box::new(Statement::Query(query)));
    let plan = ctx.state().statement_to_plan(statement).await.map_err(show)?;
    let plan = choice::spell_out(plan).map_err(show)?;
    let batches = ctx.execute_logical_plan(plan).await.map_err(show)?.collect().await.map_err(show)?;
    let mut rows = Vec::new();
    let zone = facts().zone;
    for batch in batches {
        for i in 0..batch.num_rows() {
            let cells: Vec<String> = batch
                .columns()
                .iter()
                .map(|column| {
                    if column.is_null(i) || column.data_type() == &DataType::Null {
                        return "NULL".to_owned();
                    }
                    match column.data_type() {
                        DataType::Interval(_) | DataType::List(_) | DataType::Binary => {
                            ArrayFormatter::try_new(column, &FormatOptions::default()).unwrap().value(i).to_string()
                        }
                        _ => text_of(column, family, &zone).unwrap().as_string::<i32>().value(i).to_owned(),
                    }
                })
                .collect();
            rows.push(cells.join("|"));
        }
    }
    Ok(rows.join(";"))
}

async fn check(family: Family, cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (sql, want) in cases {
        let got = run(sql, family).await.unwrap_or_else(|e| format!("ERROR {e}"));
        if got != *want {
            wrong.push(format!("{sql}\n   want {want}\n   got  {got}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

mod mysql;
mod postgres;

#[test]
fn labels_are_what_the_database_would_print() {
    let fixed = |names: &[&str]| names.iter().map(|n| Label::Fixed((*n).to_owned())).collect::<Vec<_>>();
    let labels = |sql: &str, family| {
        let dialect = if family == Family::MySql { crate::sql::Dialect::MYSQL } else { crate::sql::Dialect::POSTGRES };
        label_items(&parse(sql, family), &dialect, sql)
    };
    assert_eq!(
        labels("SELECT DISTINCT UserId, t.`Qty`, count(*), 1+1, 'x', a AS `B c`, IF(a>1, 'y', f(2,3)) FROM t", Family::MySql),
        fixed(&["UserId", "Qty", "count(*)", "1+1", "x", "B c", "IF(a>1, 'y', f(2,3))"])
    );
    assert_eq!(labels("WITH q AS (SELECT 1) SELECT /* c */ Max( a ) , b\nFROM q", Family::MySql), fixed(&["Max( a )", "b"]));
    assert_eq!(labels("SELECT *, t.* FROM t", Family::MySql), vec![Label::Wildcard(None), Label::Wildcard(Some("t".into()))]);
    assert_eq!(
        labels(
            "SELECT UserId, \"Qty\", count(*), 1+1, 'x', a::int, '1'::int, CASE WHEN a THEN b END, now() AS N, true FROM t",
            Family::Postgres
        ),
        fixed(&["userid", "Qty", "count", "?column?", "?column?", "a", "int4", "case", "n", "bool"])
    );
}

/// Numbers `?`, as the sql room does before it parses.
struct Numbered(usize);

impl VisitorMut for Numbered {
    type Break = ();
    fn pre_visit_value(&mut self, value: &mut ast::ValueWithSpan) -> ControlFlow<()> {
        if let ast::Value::Placeholder(name) = &mut value.value
            && name == "?"
        {
            self.0 += 1;
            *name = format!("${}", self.0);
        }
        ControlFlow::Continue(())
    }
}

/// The optimised plan of a query.
async fn plan(sql: &str, family: Family) -> String {
    let ctx = session(family);
    let mut query = parse(sql, family);
    let _ = query.visit(&mut Numbered(0));
    rewrite(query.as_mut(), family, &DialectContext::default()).unwrap();
    let statement = DfStatement::Statement(Box::new(Statement::Query(query)));
    let plan = ctx.state().statement_to_plan(statement).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    ctx.state().optimize(&plan).unwrap().display_indent().to_string()
}

#[tokio::test]
async fn conditions_on_columns_stay_bare_so_that_files_are_pruned() {
    let cases = [
        (Family::MySql, "SELECT id FROM t WHERE id = '100'", "t.id = Int64(100)"),
        (Family::MySql, "SELECT id FROM t WHERE qty > 5 AND flag", "t.qty > Int32(5) AND t.flag"),
        (Family::MySql, "SELECT id FROM t WHERE at >= '2022-7-6'", "t.at >= TimestampMicrosecond(1657065600000000, None)"),
        (Family::MySql, "SELECT id FROM t WHERE at > NOW() - INTERVAL 1 DAY", "t.at > TimestampMicrosecond(1656933071000000, None)"),
        (
            Family::MySql,
            "SELECT id FROM t WHERE moment > '2022-07-05 11:11:11'",
            "t.moment > TimestampMicrosecond(1656990671000000, Some(\"UTC\"))",
        ),
        (
            Family::MySql,
            "SELECT id FROM t WHERE day BETWEEN '2022-07-01' AND '2022-07-31'",
            "t.day >= Date32(\"2022-07-01\") AND t.day <= Date32(\"2022-07-31\")",
        ),
        (Family::MySql, "SELECT id FROM t WHERE name LIKE 'an%'", "t.name ILIKE Utf8(\"an%\")"),
        (
            Family::Postgres,
            "SELECT id FROM t WHERE moment >= now() - interval '1 day'",
            "t.moment >= TimestampMicrosecond(1656904271500000, Some(\"UTC\"))",
        ),
        (Family::Postgres, "SELECT id FROM t WHERE price = '1.5'", "t.price = Decimal128(1.50,10,2)"),
    ];
    for (family, sql, want) in cases {
        let shown = plan(sql, family).await;
        assert!(shown.contains(want), "{sql}\n{shown}");
    }
}

#[tokio::test]
async fn parameters_are_planned_before_they_have_values() {
    for (family, sql) in [
        (Family::MySql, "SELECT id + ? FROM t WHERE id = ? AND at > ? AND name LIKE ? AND id IN (?, ?) AND day BETWEEN ? AND ? LIMIT ?"),
        (Family::MySql, "SELECT DATE_ADD(?, INTERVAL 1 DAY), CONCAT(?, 'x'), IF(?, 1, 2), ? / 2, CAST(? AS SIGNED)"),
        (
            Family::Postgres,
            "SELECT id + $1, $2::int, $3 || 'x' FROM t WHERE id = $4 AND moment > $5 AND name = ANY(ARRAY[$6]) AND day - $7 > 3",
        ),
    ] {
        plan(sql, family).await;
    }
}

#[tokio::test]
async fn sleep_answers_after_its_time_and_stops_when_dropped() {
    let begun = std::time::Instant::now();
    assert_eq!(run("SELECT SLEEP(0.05)", Family::MySql).await.unwrap(), "0");
    assert!(begun.elapsed().as_millis() >= 50);
    assert_eq!(run("SELECT pg_sleep(0)", Family::Postgres).await.unwrap(), "");
    let pause = std::time::Duration::from_millis(50);
    assert!(tokio::time::timeout(pause, run("SELECT SLEEP(60)", Family::MySql)).await.is_err());
    assert!(begun.elapsed().as_secs() < 30);
}

#[tokio::test]
async fn what_is_not_there_is_refused_by_name() {
    for (family, sql, want) in [
        (Family::MySql, "SELECT BENCHMARK(1, 2)", "BENCHMARK() is not supported"),
        (Family::MySql, "SELECT LEFT('a')", "Incorrect parameter count in the call to native function 'left'"),
        (Family::MySql, "SELECT nosuch(1)", "nosuch"),
        (Family::Postgres, "SELECT 'x'::nosuch", "type \"nosuch\" does not exist"),
        (Family::Postgres, "SELECT name + 1 FROM t", "operator does not exist"),
    ] {
        let error = run(sql, family).await.expect_err(sql);
        assert!(error.contains(want), "{sql}: {error}");
    }
}

#[tokio::test]
async fn bound_parameters_mean_what_literals_mean() {
    let text = |s: &str| ScalarValue::Utf8(Some(s.into()));
    let stamp = ScalarValue::TimestampMicrosecond(Some(1_656_990_671_000_000), Some("UTC".into()));
    let cases: Vec<(Family, &str, Vec<ScalarValue>, &str)> = vec![
        (Family::MySql, "SELECT id FROM t WHERE at > ? AND id = ?", vec![text("2022-7-6"), text("2")], "2"),
        (Family::MySql, "SELECT id FROM t ORDER BY id LIMIT ?, ?", vec![ScalarValue::Int64(Some(1)), ScalarValue::Int64(Some(1))], "2"),
        (
            Family::MySql,
            "SELECT ? / ?, ?, DATE_ADD(?, INTERVAL ? DAY)",
            vec![
                ScalarValue::Int64(Some(-10)),
                ScalarValue::UInt64(Some(4)),
                ScalarValue::Null,
                text("2022-01-01"),
                ScalarValue::Int64(Some(-1)),
            ],
            "-2.5000|NULL|2021-12-31",
        ),
        (Family::MySql, "SELECT id FROM t WHERE name = ?", vec![text("it's")], ""),
        (Family::MySql, "SELECT HEX(?), ? + 0", vec![ScalarValue::Binary(Some(vec![0, 255])), ScalarValue::Float64(Some(1.5))], "00FF|1.5"),
        (Family::Postgres, "SELECT id FROM t WHERE moment = $1", vec![stamp.clone()], "1"),
        (
            Family::Postgres,
            "SELECT $1, $2, $3",
            vec![stamp, ScalarValue::Int32(Some(5)), ScalarValue::Boolean(Some(true))],
            "2022-07-05 11:11:11+08|5|true",
        ),
        (
            Family::Postgres,
            "SELECT id FROM t WHERE day = $1 AND price < $2",
            vec![ScalarValue::Date32(Some(19_178)), ScalarValue::Decimal128(Some(200), 10, 2)],
            "1",
        ),
        (
            Family::Postgres,
            "SELECT id FROM t WHERE id = ANY($1) ORDER BY id",
            vec![ScalarValue::List(ScalarValue::new_list_nullable(
                &[ScalarValue::Int64(Some(1)), ScalarValue::Int64(Some(3))],
                &DataType::Int64,
            ))],
            "1;3",
        ),
    ];
    for (family, sql, params, want) in cases {
        assert_eq!(run_with(sql, family, &params).await.unwrap_or_else(|e| format!("ERROR {e}")), want, "{sql}");
    }
    let error = run_with("SELECT $2", Family::Postgres, &[ScalarValue::Int64(Some(1))]).await.unwrap_err();
    assert!(error.contains("there is no parameter $2"), "{error}");
}
