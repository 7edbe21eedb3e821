//! Promises about time clauses: where they may stand, and what they must not be mistaken for.

use super::ast::{self, TableFactor, Visit, Visitor};
use super::{Dialect, Parsed, Statement, TimeKind, parse, table_clause};
use crate::error::Kind;

const BOTH: [Dialect; 2] = [Dialect::MYSQL, Dialect::POSTGRES];

struct Tables(Vec<String>);

impl Visitor for Tables {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> std::ops::ControlFlow<()> {
        if let TableFactor::Table { name, version, alias, .. } = factor {
            let clause = version.as_ref().map(|v| table_clause(v).unwrap());
            let shown = match clause {
                Some(c) if c.kind == TimeKind::Tso => format!("{name} tso {}", c.expr),
                Some(c) => format!("{name} at {}", c.expr),
                None => name.to_string(),
            };
            self.0.push(match alias {
                Some(alias) => format!("{shown} = {}", alias.name),
                None => shown,
            });
        }
        std::ops::ControlFlow::Continue(())
    }
}

fn tables<T: Visit>(tree: &T) -> Vec<String> {
    let mut tables = Tables(Vec::new());
    let _ = tree.visit(&mut tables);
    tables.0
}

fn one(dialect: &Dialect, text: &str) -> Parsed {
    let mut all = parse(dialect, text).unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(all.len(), 1, "{text}");
    all.remove(0)
}

/// The tables of a query with their clauses, and the statement's clause.
fn read(dialect: &Dialect, text: &str) -> (Vec<String>, Option<String>) {
    match one(dialect, text).statement {
        Statement::Query(query) => (tables(&query.query), query.as_of.map(|c| c.expr.to_string())),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn the_statement_the_product_grew_from_is_read() {
    let text = "SELECT * FROM oss_orders where userId = 100 AS OF TIMESTAMP '2022-07-05 11:11:11'";
    for dialect in BOTH {
        let (tables, as_of) = read(&dialect, text);
        assert_eq!(tables, ["oss_orders"]);
        assert_eq!(as_of.as_deref(), Some("'2022-07-05 11:11:11'"));
    }
}

#[test]
fn a_table_takes_its_clause_on_either_side_of_its_alias() {
    for dialect in BOTH {
        for text in [
            "SELECT * FROM t AS OF TIMESTAMP 'x' a WHERE 1 = 1",
            "SELECT * FROM t AS OF TIMESTAMP 'x' AS a WHERE 1 = 1",
            "SELECT * FROM t a AS OF TIMESTAMP 'x' WHERE 1 = 1",
            "SELECT * FROM t AS a AS OF TIMESTAMP 'x' WHERE 1 = 1",
            "SELECT * FROM t a as of timestamp 'x'",
            "SELECT * FROM t a AS OF SYSTEM TIME 'x'",
            "SELECT * FROM t a AS OF 'x' ORDER BY 1 LIMIT 5",
            "SELECT * FROM t FOR SYSTEM_TIME AS OF 'x' AS a",
            "SELECT * FROM t FOR TIMESTAMP AS OF 'x' a FOR UPDATE",
        ] {
            assert_eq!(read(&dialect, text), (vec!["t at 'x' = a".to_owned()], None), "{text}");
        }
        assert_eq!(read(&dialect, "SELECT * FROM d.t AS OF TSO 42 + 1").0, ["d.t tso 42 + 1"]);
    }
    for text in [
        "SELECT * FROM t PARTITION (p0, p1) AS OF TIMESTAMP \"x\" a USE INDEX (i)",
        "SELECT * FROM t PARTITION (p0) a AS OF TIMESTAMP \"x\" FORCE INDEX (i) WHERE a.b = 1 LOCK IN SHARE MODE",
    ] {
        assert_eq!(read(&Dialect::MYSQL, text), (vec!["t at 'x' = a".to_owned()], None), "{text}");
    }
    assert_eq!(read(&Dialect::POSTGRES, "SELECT * FROM t AS a (b, c) AS OF TIMESTAMP 'x'").0, ["t at 'x' = a"]);
}

#[test]
fn tables_of_a_join_carry_different_times() {
    let text = "SELECT * FROM t AS OF TIMESTAMP 'x' a LEFT JOIN t AS OF TIMESTAMP 'y' AS b ON a.id = b.id, u AS OF TSO 7, v";
    for dialect in BOTH {
        assert_eq!(read(&dialect, text), (vec!["t at 'x' = a".into(), "t at 'y' = b".into(), "u tso 7".into(), "v".into()], None));
    }
}

#[test]
fn clauses_inside_ctes_subqueries_derived_tables_and_unions_are_their_tables() {
    for dialect in BOTH {
        let text = "WITH c AS (SELECT * FROM t AS OF TIMESTAMP 'x') SELECT * FROM c JOIN (SELECT * FROM u AS OF TIMESTAMP 'y') d ON true \
                    WHERE c.a IN (SELECT a FROM v w AS OF TIMESTAMP 'z') AS OF TIMESTAMP 's'";
        let (mut found, as_of) = read(&dialect, text);
        found.sort();
        assert_eq!(found, ["c", "t at 'x'", "u at 'y'", "v at 'z' = w"]);
        assert_eq!(as_of.as_deref(), Some("'s'"));
        let text = "SELECT a FROM t AS OF TIMESTAMP 'x' UNION ALL SELECT a FROM u WHERE a = 1 AS OF TIMESTAMP 'y'";
        assert_eq!(read(&dialect, text), (vec!["t at 'x'".into(), "u".into()], Some("'y'".into())));
        let text = "(SELECT a FROM t) UNION (SELECT a FROM u) AS OF TIMESTAMP 'y'";
        assert_eq!(read(&dialect, text), (vec!["t".into(), "u".into()], Some("'y'".into())));
    }
}

#[test]
fn the_statement_s_clause_stands_behind_any_part() {
    for dialect in BOTH {
        for part in
            ["WHERE a = 1", "GROUP BY a", "GROUP BY a HAVING count(*) > 1", "ORDER BY a DESC", "LIMIT 3", "ORDER BY a LIMIT 3 OFFSET 4"]
        {
            for (before, behind) in [("", ""), (" FOR UPDATE", ""), ("", " FOR UPDATE"), ("", " FOR SHARE")] {
                let text = format!("SELECT a FROM t {part}{before} AS OF TIMESTAMP 'x'{behind}");
                assert_eq!(read(&dialect, &text), (vec!["t".to_owned()], Some("'x'".to_owned())), "{text}");
            }
        }
        let early = "SELECT a FROM t WHERE a = 1 AS OF TIMESTAMP 'x' ORDER BY a";
        assert_eq!(read(&dialect, early).1.as_deref(), Some("'x'"));
    }
}

#[test]
fn of_may_be_an_alias_and_for_update_of_is_no_time_clause() {
    for dialect in BOTH {
        assert_eq!(read(&dialect, "SELECT 1 AS of FROM t"), (vec!["t".into()], None));
        assert_eq!(read(&dialect, "SELECT of.a FROM t AS of WHERE of.a = 1"), (vec!["t = of".into()], None));
        assert_eq!(read(&dialect, "SELECT * FROM t AS of JOIN u AS of2 ON true").0, ["t = of", "u = of2"]);
        assert_eq!(read(&dialect, "SELECT * FROM t a FOR UPDATE OF a"), (vec!["t = a".into()], None));
        assert_eq!(read(&dialect, "SELECT 'AS OF TIMESTAMP' FROM t -- AS OF TIMESTAMP 'x'"), (vec!["t".into()], None));
        assert_eq!(read(&dialect, "SELECT * FROM t AS of AS OF TIMESTAMP 'x'").0, ["t at 'x' = of"]);
    }
}

#[test]
fn time_expressions_end_where_the_query_goes_on() {
    for (dialect, expr) in [
        (Dialect::MYSQL, "NOW() - INTERVAL 1 DAY"),
        (Dialect::MYSQL, "DATE_SUB(NOW(), INTERVAL 2 HOUR)"),
        (Dialect::MYSQL, "FROM_UNIXTIME(1657019471)"),
        (Dialect::POSTGRES, "now() - INTERVAL '1 day 2 hours'"),
        (Dialect::POSTGRES, "'2022-07-05'::TIMESTAMPTZ"),
        (Dialect::POSTGRES, "CAST('2022-07-05' AS TIMESTAMP)"),
        (Dialect::POSTGRES, "TIMESTAMP '2022-07-05' + INTERVAL '1' DAY"),
    ] {
        for tail in ["", " WHERE a = 1", " LEFT JOIN u ON true", ", u", " ORDER BY 1", " GROUP BY 1 HAVING true"] {
            let text = format!("SELECT 1 FROM t AS OF TIMESTAMP {expr} x{tail}");
            assert_eq!(read(&dialect, &text).0[0], format!("t at {expr} = x"), "{text}");
        }
    }
}

#[test]
fn two_clauses_for_one_table_are_a_syntax_error_that_names_it() {
    for dialect in BOTH {
        for text in [
            "SELECT * FROM t AS OF TIMESTAMP 'x' a AS OF TIMESTAMP 'y'",
            "SELECT * FROM t AS OF TIMESTAMP 'x' AS OF TIMESTAMP 'y' a",
            "SELECT * FROM t a AS OF TIMESTAMP 'x' AS OF TSO 1",
        ] {
            let error = parse(&dialect, text).unwrap_err();
            assert_eq!(error.kind(), Kind::Syntax, "{text}");
            assert!(error.message().contains("'a'"), "{error}");
        }
        let error = parse(&dialect, "SELECT * FROM t WHERE a = 1 AS OF TIMESTAMP 'x' AS OF TIMESTAMP 'y'").unwrap_err();
        assert!(error.message().contains("two time clauses"), "{error}");
    }
}

#[test]
fn a_clause_where_none_may_stand_is_a_syntax_error_with_its_place() {
    for dialect in BOTH {
        for text in [
            "SELECT a AS OF TIMESTAMP 'x' FROM t",
            "SELECT * FROM t WHERE a = 1 AS OF TIMESTAMP 'x' UNION SELECT * FROM u",
            "SELECT * FROM (SELECT * FROM t WHERE a = 1 AS OF TIMESTAMP 'x') d",
            "SELECT * FROM (SELECT * FROM t) d AS OF TIMESTAMP 'x' JOIN u ON true",
            "SELECT * FROM t AS OF TIMESTAMP",
            "SELECT * FROM t AS OF TIMESTAMP WHERE a = 1",
        ] {
            let error = parse(&dialect, text).err().unwrap_or_else(|| panic!("{text}"));
            assert_eq!(error.kind(), Kind::Syntax, "{text}");
            assert!(error.position().is_some(), "{text}");
        }
    }
}

#[test]
fn undo_reads_the_past_and_the_target_of_a_change_never_does() {
    for dialect in BOTH {
        for (text, table) in [
            ("INSERT INTO t SELECT * FROM t AS OF TIMESTAMP 'x' WHERE id = 1", "t at 'x'"),
            ("INSERT INTO t (a) SELECT a FROM t a AS OF TSO 5", "t tso 5 = a"),
        ] {
            let Statement::Insert(insert) = one(&dialect, text).statement else { panic!("{text}") };
            assert_eq!(tables(insert.insert.source.as_ref().unwrap()), [table]);
            assert!(insert.as_of.is_none());
        }
        let text = "INSERT INTO t SELECT * FROM t WHERE id = 1 AS OF TIMESTAMP 'x'";
        let Statement::Insert(insert) = one(&dialect, text).statement else { panic!() };
        assert!(insert.as_of.is_some());
        for text in [
            "INSERT INTO t AS OF TIMESTAMP 'x' VALUES (1)",
            "INSERT INTO t VALUES (1) AS OF TIMESTAMP 'x'",
            "UPDATE t AS OF TIMESTAMP 'x' SET a = 1",
            "UPDATE t a AS OF TIMESTAMP 'x' SET a = 1",
            "UPDATE t SET a = 1 WHERE b = 2 AS OF TIMESTAMP 'x'",
            "DELETE FROM t AS OF TIMESTAMP 'x' WHERE a = 1",
            "DELETE FROM t WHERE a = 1 AS OF TIMESTAMP 'x'",
        ] {
            assert_eq!(parse(&dialect, text).unwrap_err().kind(), Kind::Syntax, "{text}");
        }
        let text = "UPDATE t SET a = (SELECT a FROM t o AS OF TIMESTAMP 'x' WHERE o.id = t.id) WHERE id IN (SELECT id FROM u AS OF TSO 3)";
        let Statement::Update(update) = one(&dialect, text).statement else { panic!() };
        assert_eq!(tables(update.as_ref()), ["t", "t at 'x' = o", "u tso 3"]);
    }
    let Statement::Insert(replace) = one(&Dialect::MYSQL, "REPLACE INTO t SELECT * FROM t AS OF TIMESTAMP 'x'").statement else { panic!() };
    assert!(replace.insert.replace_into);
}

#[test]
fn views_explain_and_transactions_take_clauses() {
    for dialect in BOTH {
        let text = "CREATE OR REPLACE VIEW v AS SELECT * FROM t AS OF TIMESTAMP 'x' a WHERE a.b > 1";
        let Statement::CreateView(view) = one(&dialect, text).statement else { panic!() };
        assert_eq!(view.definition, "SELECT * FROM t AS OF TIMESTAMP 'x' a WHERE a.b > 1");
        assert_eq!(tables(&view.query.query), ["t at 'x' = a"]);
        let Statement::Explain(explain) = one(&dialect, "EXPLAIN ANALYZE SELECT * FROM t WHERE a = 1 AS OF TIMESTAMP 'x'").statement else {
            panic!()
        };
        assert!(explain.analyze && matches!(*explain.inner, Statement::Query(q) if q.as_of.is_some()));
        let Statement::Begin(begin) = one(&dialect, "START TRANSACTION READ ONLY AS OF TIMESTAMP '2022-07-05'").statement else { panic!() };
        assert!(begin.as_of.is_some() && begin.modes.read_only == Some(true));
        assert!(parse(&dialect, "START TRANSACTION READ WRITE AS OF TIMESTAMP '2022-07-05'").is_err());
    }
}

#[test]
fn parameters_keep_their_numbers_when_a_clause_is_lifted() {
    let parsed = one(&Dialect::MYSQL, "SELECT ? FROM t AS OF TIMESTAMP ? a JOIN u b AS OF TSO ? ON a.x = ? WHERE a.y = ?");
    assert_eq!(parsed.params, 5);
    let Statement::Query(query) = parsed.statement else { panic!() };
    assert_eq!(tables(&query.query), ["t at $2 = a", "u tso $3 = b"]);
    assert!(query.query.to_string().contains("$4"));
    let parsed = one(&Dialect::MYSQL, "SELECT * FROM t WHERE id = ? AS OF TIMESTAMP ? FOR UPDATE");
    let Statement::Query(query) = parsed.statement else { panic!() };
    assert_eq!(query.as_of.unwrap().expr.to_string(), "$2");
    let parsed = one(&Dialect::POSTGRES, "SELECT * FROM t AS OF $2 WHERE id = $1");
    assert_eq!(parsed.params, 2);
    let Statement::Query(query) = parsed.statement else { panic!() };
    assert_eq!(tables(&query.query), ["t at $2"]);
}

#[test]
fn syntax_errors_quote_the_offending_text_as_each_server_does() {
    let error = parse(&Dialect::MYSQL, "SELECT *\nFROM t WHERE FOO BAR BAZ").unwrap_err();
    assert_eq!(error.message(), "You have an error in your SQL syntax near 'BAR BAZ' at line 2");
    assert_eq!(error.position(), Some(27));
    let error = parse(&Dialect::POSTGRES, "SELEC 'gr\u{fc}n'").unwrap_err();
    assert_eq!(error.message(), "syntax error at or near \"SELEC\"");
    assert_eq!(error.position(), Some(1));
    assert_eq!(parse(&Dialect::POSTGRES, "SELECT * FROM").unwrap_err().message(), "syntax error at end of input");
    assert!(parse(&Dialect::MYSQL, "SELECT 'abc").unwrap_err().message().contains("''abc'"));
    assert!(parse(&Dialect::MYSQL, " ; -- nothing\n /* at all */").unwrap().is_empty());
}

#[test]
fn deep_or_long_statements_are_errors_and_never_overflow_the_stack() {
    let deep = [
        format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000)),
        format!("SELECT {}1", "NOT ".repeat(20_000)),
        format!("SELECT {}1", "- ".repeat(20_000)),
        format!("SELECT * FROM {}t{}", "(".repeat(5_000), ")".repeat(5_000)),
        format!("{}SELECT 1{}", "(".repeat(5_000), ")".repeat(5_000)),
        format!("SELECT {}1{}", "(SELECT ".repeat(5_000), ")".repeat(5_000)),
        format!("SELECT * FROM {}t{}", "(SELECT * FROM ".repeat(500), ") a".repeat(500)),
        format!("SELECT 1{}", " + 1".repeat(100_000)),
        format!("SELECT 1 WHERE 1{}", " OR 1".repeat(100_000)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(100_000)),
        format!("SELECT * FROM t AS OF TIMESTAMP {}1{}", "(".repeat(5_000), ")".repeat(5_000)),
        "EXPLAIN ".repeat(20_000),
        format!("SELECT {}1{}", "CASE WHEN 1 THEN ".repeat(3_000), " END".repeat(3_000)),
        format!("SELECT {}1{}", "f(".repeat(5_000), ")".repeat(5_000)),
    ];
    for text in &deep {
        for dialect in BOTH {
            let error = parse(&dialect, text).unwrap_err();
            assert_eq!(error.kind(), Kind::Syntax, "{}", &text[..60]);
        }
    }
}

/// sqlparser goes back and tries another reading at each level of such a text.
#[test]
fn a_text_with_many_readings_is_an_error_soon() {
    let many = [
        format!("SELECT * FROM {}t", "FROM (SELECT * FROM ".repeat(40)),
        format!("SELECT {}1", "CASE (SELECT ".repeat(40)),
        format!("SELECT {}", "a IN (SELECT ".repeat(40)),
        format!("SELECT * FROM {}t", "((SELECT * FROM a JOIN ".repeat(40)),
        format!("SELECT {}", "interval (SELECT ".repeat(40)),
        format!("SELECT {}", "EXISTS (SELECT position(".repeat(30)),
        format!("SELECT {}", "date(timestamp(".repeat(45)),
    ];
    for text in &many {
        for dialect in BOTH {
            let began = std::time::Instant::now();
            let error = parse(&dialect, text).unwrap_err();
            assert_eq!(error.kind(), Kind::Syntax, "{text}");
            assert!(began.elapsed().as_secs() < 10, "{:?}: {text}", began.elapsed());
        }
    }
}

#[test]
fn long_but_flat_statements_are_fine() {
    let rows = (0..5_000).map(|i| format!("({i}, -{i}, 'x')")).collect::<Vec<_>>().join(", ");
    let list = (0..20_000).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    let ors = (0..1_000).map(|i| format!("a = {i}")).collect::<Vec<_>>().join(" OR ");
    for dialect in BOTH {
        one(&dialect, &format!("INSERT INTO t VALUES {rows}"));
        one(&dialect, &format!("SELECT * FROM t WHERE a IN ({list})"));
        let parsed = one(&dialect, &format!("SELECT * FROM t WHERE {ors}"));
        let copy = parsed.clone();
        assert_eq!(
            tables(&match copy.statement {
                Statement::Query(q) => q.query,
                _ => panic!(),
            }),
            ["t"]
        );
    }
}

#[test]
fn mysql_operators_bind_as_in_mysql() {
    let Statement::Query(query) = one(&Dialect::MYSQL, "SELECT 7 DIV 2 + 1, 7 MOD 2 + 1 FROM DUAL").statement else { panic!() };
    let ast::SetExpr::Select(select) = *query.query.body else { panic!() };
    for item in &select.projection {
        let ast::SelectItem::UnnamedExpr(ast::Expr::BinaryOp { op, .. }) = item else { panic!("{item}") };
        assert_eq!(*op, ast::BinaryOperator::Plus);
    }
    assert!(select.from.is_empty());
}
