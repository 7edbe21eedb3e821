//! Whose is a statement, by the tables that it names? `orders`, `log`, `status` and `shop.orders` are cold.

use super::*;
use crate::sql::Server;

const MY: Dialect = Dialect { server: Server { mariadb: true, version: 101_114 }, ..Dialect::MYSQL };
const PG: Dialect = Dialect::POSTGRES;

fn is_cold(parts: &[String]) -> bool {
    let is = |name: &String| ["orders", "log", "status"].iter().any(|cold| same(cold, name));
    match parts {
        [name] => is(name),
        [.., schema, name] => is(name) && ["shop", "public"].iter().any(|cold| same(cold, schema)),
        [] => false,
    }
}

fn outlines(dialect: &Dialect, text: &str) -> Vec<Outline> {
    let mut all = Vec::new();
    outline(dialect, text, &mut is_cold, &mut |outline| {
        all.push(outline);
        true
    });
    all
}

fn claimed(dialect: &Dialect, text: &str) -> bool {
    outlines(dialect, text).iter().any(|one| one.cold || one.own)
}

fn check(dialect: &Dialect, ours: bool, texts: &[&str]) {
    for text in texts {
        assert_eq!(claimed(dialect, text), ours, "{text}");
        // A longer text is told the same, and so is any spelling.
        assert_eq!(claimed(dialect, &format!("/* c */ {text} ; ")), ours, "{text}");
        if !text.contains('"') && !text.contains('$') {
            assert_eq!(claimed(dialect, &text.to_lowercase()), ours, "{text}");
        }
    }
}

#[test]
fn statements_that_read_or_change_a_cold_table_are_ours_in_both_languages() {
    for dialect in [MY, PG] {
        check(
            &dialect,
            true,
            &[
                "SELECT * FROM orders",
                "SELECT * FROM hot, orders",
                "SELECT * FROM hot h, LATERAL (SELECT 1 FROM orders) x",
                "SELECT * FROM hot AS h JOIN orders AS o ON h.a = o.a",
                "SELECT * FROM hot JOIN x ON a IS DISTINCT FROM b, orders",
                "SELECT * FROM hot JOIN x USING (a) LEFT JOIN orders USING (a)",
                "SELECT * FROM hot NATURAL JOIN shop . orders",
                "SELECT * FROM (hot CROSS JOIN orders)",
                "SELECT * FROM ((SELECT 1) UNION (SELECT 2 FROM orders)) x",
                "SELECT * FROM (SELECT 1) x JOIN (hot JOIN log ON true) ON true",
                "SELECT 1 UNION SELECT 2 FROM orders",
                "(SELECT 1) UNION ALL (SELECT 2 FROM orders)",
                "SELECT a FROM hot WHERE EXISTS (SELECT 1 FROM orders)",
                "SELECT (SELECT max(a) FROM orders)",
                "SELECT a FROM hot ORDER BY (SELECT max(a) FROM orders)",
                "SELECT CASE WHEN a THEN 1 END FROM orders",
                "SELECT extract(day FROM a) FROM orders",
                "SELECT trim(BOTH 'x' FROM a) FROM orders",
                "SELECT substring(a FROM 2 FOR 3), f(b) FROM orders",
                "SELECT extract(day FROM (SELECT a FROM orders LIMIT 1))",
                "SELECT a IS NOT DISTINCT FROM b FROM orders",
                "SELECT a FROM hot WHERE a = 1 UNION TABLE orders",
                "WITH x AS (SELECT * FROM orders) SELECT * FROM x",
                "WITH x AS (SELECT 1), y (a, b) AS (SELECT * FROM orders) SELECT * FROM x, y",
                "WITH x AS (WITH orders AS (SELECT 1) SELECT * FROM orders) SELECT * FROM orders",
                // Without RECURSIVE a name is not seen in its own body.
                "WITH orders AS (SELECT * FROM orders) SELECT * FROM orders",
                "WITH x AS (SELECT * FROM orders), orders AS (SELECT 1) SELECT 1",
                "WITH RECURSIVE x AS (SELECT 1 UNION ALL SELECT a FROM x JOIN orders ON true) SELECT * FROM x",
                "SELECT (WITH orders AS (SELECT 1) SELECT * FROM orders) FROM orders",
                "WITH orders AS (SELECT 1) SELECT * FROM shop.orders",
                "TABLE orders",
                "VALUES (1, (SELECT 2 FROM orders))",
                "INSERT INTO orders VALUES (1)",
                "INSERT INTO hot SELECT * FROM orders",
                "INSERT INTO hot (a, b) SELECT a, b FROM x WHERE c IN (SELECT c FROM orders)",
                "INSERT INTO hot VALUES (1, 'x'), (2, (SELECT max(a) FROM log))",
                "INSERT INTO hot TABLE orders",
                "INSERT INTO hot (SELECT * FROM orders)",
                "UPDATE orders SET a = 1",
                "UPDATE hot SET a = (SELECT max(a) FROM orders)",
                "DELETE FROM orders WHERE a = 1",
                "DELETE FROM orders",
                "DELETE FROM hot WHERE a IN (SELECT a FROM orders)",
                "DELETE FROM hot USING hot JOIN orders ON hot.a = orders.a",
                "TRUNCATE orders",
                "TRUNCATE TABLE hot, orders",
                "DROP TABLE IF EXISTS hot, orders",
                "DROP VIEW orders",
                "ALTER TABLE orders ADD COLUMN x int",
                "ALTER TABLE IF EXISTS orders RENAME TO x",
                "CREATE TABLE orders (a int)",
                "CREATE TABLE IF NOT EXISTS orders (a int)",
                "CREATE TABLE x AS SELECT * FROM orders",
                "CREATE TABLE x AS WITH y AS (SELECT 1) SELECT * FROM orders",
                "CREATE TABLE x (LIKE orders)",
                "CREATE OR REPLACE VIEW x AS SELECT * FROM orders",
                "CREATE VIEW orders AS SELECT 1",
                "CREATE UNIQUE INDEX i ON orders (a)",
                "EXPLAIN SELECT * FROM orders",
                "EXPLAIN ANALYZE SELECT * FROM orders",
                "LOCK TABLE orders",
                "DECLARE c CURSOR FOR SELECT * FROM orders",
                "SHOW FILES FROM orders",
                "SHOW RECYCLEBIN",
                "FLASHBACK TABLE x TO BEFORE DROP",
                "ALTER FILESTORAGE oss PURGE BEFORE TIMESTAMP '2020-01-01'",
                "GRANT SELECT ON COLD TABLE x TO ann",
                "REVOKE ADMIN ON FILESTORAGE FROM ann",
                "START TRANSACTION READ ONLY AS OF TIMESTAMP '2022-07-05'",
                "SET flashback_read_time = '2022-07-05'",
                "CREATE STANDIN FOR COLD TABLE x",
                "COMMENT ON TABLE orders IS 'x'",
            ],
        );
    }
}

#[test]
fn words_that_are_no_tables_are_not_claimed_in_either_language() {
    for dialect in [MY, PG] {
        check(
            &dialect,
            false,
            &[
                "SELECT orders, log, status FROM hot",
                "SELECT orders.a FROM hot AS orders",
                "SELECT orders.a FROM hot orders JOIN x log ON orders.a = log.a",
                "SELECT trim(BOTH 's' FROM status) FROM hot",
                "SELECT trim(LEADING FROM status) FROM hot",
                "SELECT extract(day FROM log) FROM hot",
                "SELECT substring(log FROM 2) FROM hot WHERE extract(year FROM log) = 1",
                "SELECT a IS DISTINCT FROM orders, b IS NOT DISTINCT FROM log FROM hot",
                "SELECT a FROM hot WHERE a IS DISTINCT FROM orders",
                "SELECT a FROM hot JOIN x ON a IS NOT DISTINCT FROM orders",
                "SELECT orders(1) FROM hot, orders(2) AS f",
                "SELECT a FROM hot ORDER BY a, orders",
                "SELECT a FROM hot GROUP BY a, orders HAVING a, log",
                "SELECT a FROM hot FOR UPDATE",
                "SELECT 'x FROM orders' FROM hot -- , orders",
                "SELECT a /* FROM orders */ FROM hot",
                "SELECT hot.orders FROM other.orders",
                "WITH orders AS (SELECT 1) SELECT * FROM orders",
                "WITH orders AS (SELECT 1), x AS (SELECT * FROM orders) SELECT * FROM x JOIN orders ON true",
                "WITH RECURSIVE orders AS (SELECT 1 UNION ALL SELECT a + 1 FROM orders) SELECT * FROM orders",
                "WITH orders (n) AS (SELECT 1) SELECT (SELECT n FROM orders) FROM (SELECT * FROM orders) x",
                "INSERT INTO hot (orders, log) VALUES (1, 'INTO orders')",
                "INSERT INTO hot SELECT orders FROM other",
                "UPDATE hot SET orders = 1, log = status",
                "UPDATE hot AS orders SET orders.a = 1",
                "DELETE FROM hot WHERE orders = 1",
                "CREATE TABLE hot (orders int, log text, status int)",
                "CREATE TABLE hot (a int, CONSTRAINT orders CHECK (status > 0))",
                "ALTER TABLE hot ADD COLUMN orders int",
                "ALTER TABLE hot RENAME COLUMN a TO orders",
                "CREATE INDEX orders ON hot (log)",
                "CREATE VIEW x AS SELECT extract(day FROM log) FROM hot",
                "GRANT SELECT ON orders TO log",
                "GRANT SELECT, UPDATE ON hot TO orders",
                "REVOKE SELECT ON hot FROM orders",
                "DROP INDEX orders",
                "DROP USER log",
                "SET x = 1",
                "COMMIT",
                "EXPLAIN SELECT orders FROM hot",
                "SELECT 1 INTO orders FROM hot",
                "CREATE TRIGGER orders AFTER INSERT ON hot FOR EACH ROW EXECUTE FUNCTION log()",
                "LOCK TABLE hot",
                "TRUNCATE hot",
                "DROP TABLE hot, x.orders",
                "SELECT a FROM hot LIMIT 1",
                "VALUES (1)",
                "",
            ],
        );
    }
}

#[test]
fn statements_of_mysql() {
    check(
        &MY,
        true,
        &[
            "SELECT * FROM `orders`",
            "SELECT * FROM shop.`orders`",
            "SELECT * FROM { OJ hot LEFT OUTER JOIN orders ON true }",
            "SELECT * FROM hot USE INDEX FOR JOIN (i), orders",
            "SELECT * FROM hot IGNORE INDEX FOR ORDER BY (i) STRAIGHT_JOIN orders",
            "SELECT * FROM hot PARTITION (p0), orders FORCE INDEX (a)",
            "SELECT /*! SQL_NO_CACHE */ * FROM hot /*!50000 , orders */",
            "SELECT 'it\\'s' FROM orders",
            "SELECT a INTO @x FROM orders",
            "SELECT a FROM orders INTO OUTFILE '/tmp/x'",
            "INSERT IGNORE orders SET a = 1",
            "INSERT orders VALUES (1)",
            "REPLACE INTO orders VALUES (1)",
            "REPLACE orders SELECT * FROM hot",
            "INSERT INTO hot VALUES (1) ON DUPLICATE KEY UPDATE a = (SELECT 1 FROM orders)",
            "INSERT INTO hot SELECT * FROM x ON DUPLICATE KEY UPDATE a = (SELECT 1 FROM orders)",
            "UPDATE LOW_PRIORITY IGNORE orders, hot SET a = 1",
            "UPDATE hot, orders SET hot.a = orders.a",
            "DELETE hot FROM hot JOIN orders ON hot.a = orders.a",
            "DELETE hot.* FROM hot, orders WHERE true",
            "DELETE orders FROM orders JOIN hot ON true",
            "DELETE FROM a USING hot AS a, orders",
            "LOCK TABLES hot READ, orders AS o WRITE",
            "RENAME TABLE hot TO x, orders TO y",
            "OPTIMIZE NO_WRITE_TO_BINLOG TABLE orders",
            "ANALYZE TABLE hot, orders",
            "CHECKSUM TABLE orders",
            "CREATE TABLE x LIKE orders",
            "CREATE TABLE x ENGINE=InnoDB SELECT * FROM orders",
            "CREATE TEMPORARY TABLE orders (a int)",
            "CREATE ALGORITHM=MERGE DEFINER=`root`@`localhost` SQL SECURITY DEFINER VIEW v AS SELECT * FROM orders",
            "LOAD DATA LOCAL INFILE 'x' REPLACE INTO TABLE orders",
            "DESCRIBE orders",
            "DESC orders a",
            "EXPLAIN FORMAT=JSON SELECT * FROM orders",
            "EXPLAIN PARTITIONS orders",
            "ANALYZE FORMAT=JSON SELECT * FROM orders",
            "SHOW FULL COLUMNS FROM orders LIKE 'a'",
            "SHOW INDEX IN orders",
            "SHOW CREATE TABLE orders",
            "SET @x = (SELECT max(a) FROM orders)",
            "SET STATEMENT max_statement_time=1 FOR SELECT * FROM orders",
            "CALL p((SELECT max(a) FROM orders))",
            "DO (SELECT max(a) FROM orders)",
            "SELECT @@session.flashback_read_time",
            "SELECT @@flashback_read_time",
            "SELECT a FROM hot UNION SELECT 1 FROM DUAL UNION SELECT a FROM log",
            "PURGE TABLE x",
            "CREATE PROCEDURE p() SELECT 1; SELECT * FROM orders",
            "CREATE PROCEDURE p() BEGIN IF a THEN SELECT 1; END IF; CASE a WHEN 1 THEN SELECT 2; END CASE; END; SELECT * FROM orders",
            "CREATE TRIGGER t BEFORE INSERT ON hot FOR EACH ROW IF NEW.a THEN SET NEW.a = IF(1, 2, 3); END IF; SELECT * FROM orders",
            "CREATE PROCEDURE IF NOT EXISTS p() l: LOOP SELECT 1; LEAVE l; END LOOP; SELECT * FROM orders",
        ],
    );
    check(
        &MY,
        false,
        &[
            "SELECT @orders, @@log FROM hot",
            "SELECT a INTO @orders FROM hot",
            "SELECT a FROM hot WHERE a = @orders",
            "SELECT \"FROM orders\" FROM hot",
            "SELECT 'it\\'s FROM orders' FROM hot",
            "SELECT * FROM hot # , orders",
            "SELECT 1 FROM DUAL",
            "SELECT orders.a FROM `hot` AS `orders`",
            "SELECT * FROM hot USE INDEX (orders, log)",
            "SELECT * FROM hot USE INDEX FOR JOIN (orders)",
            "SELECT GROUP_CONCAT(a ORDER BY orders SEPARATOR ',') FROM hot",
            "DELETE FROM orders USING hot AS orders WHERE orders.a = 1",
            "DELETE FROM orders, log USING hot AS orders JOIN x AS log ON true",
            "DELETE orders FROM hot AS orders WHERE orders.a = 1",
            "DELETE orders.*, log FROM hot orders, x log",
            "INSERT INTO hot VALUES (1) ON DUPLICATE KEY UPDATE a = 1, orders = VALUES(orders)",
            "INSERT INTO hot SELECT a FROM x ON DUPLICATE KEY UPDATE a = 1, orders = 2",
            "REPLACE INTO hot SET orders = 1",
            "SELECT REPLACE(orders, 'a', 'b'), INSERT(log, 1, 2, 'x') FROM hot",
            "SELECT (REPLACE(orders, 'a', 'b')), (INSERT(log, 1, 2, 'x')) FROM hot",
            "CREATE PROCEDURE p() BEGIN DECLARE orders INT; SELECT count(*) INTO orders FROM hot; END",
            "CREATE DEFINER=`r`@`%` PROCEDURE p(orders INT) BEGIN SELECT * FROM orders; UPDATE log SET a = 1; END",
            "CREATE TRIGGER t BEFORE INSERT ON hot FOR EACH ROW BEGIN DECLARE orders INT; SELECT count(*) INTO orders FROM hot; END",
            "CREATE TRIGGER t AFTER UPDATE ON hot FOR EACH ROW INSERT INTO log VALUES (1)",
            "CREATE FUNCTION f() RETURNS INT RETURN (SELECT max(a) FROM orders)",
            "CREATE OR REPLACE FUNCTION f() RETURNS INT BEGIN WHILE a DO SET a = 1; END WHILE; RETURN (SELECT 1 FROM orders); END",
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM log",
            "BEGIN NOT ATOMIC DECLARE orders INT; SELECT count(*) INTO orders FROM hot; SELECT * FROM log; END",
            "IF 1 THEN SELECT * FROM hot; SELECT 1 INTO orders; END IF",
            "GRANT SELECT ON shop.orders TO 'log'@'%'",
            "SHOW TABLES FROM orders",
            "SHOW STATUS LIKE 'orders'",
            "SHOW BINARY LOGS",
            "PURGE BINARY LOGS TO 'log'",
            "LOCK INSTANCE FOR BACKUP",
            "LOCK TABLES hot AS orders READ",
            "RENAME TABLE hot TO x",
            "DROP TEMPORARY TABLE orders",
            "ALTER TABLE hot ADD CONSTRAINT orders FOREIGN KEY (a) REFERENCES x (a)",
            "ALTER TABLE hot DROP PARTITION orders",
            "LOAD DATA INFILE 'x' INTO TABLE hot (orders, log)",
            "LOAD INDEX INTO CACHE hot",
            "HANDLER hot READ orders FIRST",
            "SET @orders = 1, @log = (SELECT a FROM hot)",
            "KILL 5",
            "CHANGE MASTER TO MASTER_LOG_FILE = 'log'",
            "SELECT a FROM hot PROCEDURE ANALYSE(1, orders)",
            "SELECT a FROM hot LOCK IN SHARE MODE",
            "SELECT * FROM JSON_TABLE(a, '$' COLUMNS (orders INT PATH '$.a')) AS log",
            "ALTER EVENT e DO DELETE FROM log",
            "SELECT a.orders.log FROM hot",
        ],
    );
    let ansi = Dialect { ansi_quotes: true, ..MY };
    check(&ansi, true, &["SELECT * FROM \"orders\""]);
    let escapes = Dialect { no_backslash_escapes: false, ..PG };
    check(&escapes, true, &["SELECT 'it\\'s', a FROM orders"]);
    let plain = Dialect { no_backslash_escapes: true, ..MY };
    check(&plain, true, &["SELECT 'it\\', a FROM orders WHERE b = 'x'"]);
}

#[test]
fn statements_of_postgresql() {
    check(
        &PG,
        true,
        &[
            "SELECT * FROM ONLY orders *",
            "SELECT * FROM \"orders\"",
            "SELECT * FROM shop.public.orders",
            "SELECT $$it's$$, a FROM orders",
            "SELECT E'it\\'s', a FROM orders",
            "SELECT 'it\\', a FROM orders WHERE b = 'x'",
            "SELECT * FROM hot TABLESAMPLE system (10), orders",
            "SELECT * FROM f() WITH ORDINALITY AS f (a, b), orders",
            "SELECT * FROM ROWS FROM (f(1), g(2)) AS r, orders",
            "SELECT DISTINCT FROM orders",
            "SELECT a FROM hot WINDOW w AS (ORDER BY (SELECT 1 FROM orders))",
            "SELECT a INTO TEMP x FROM orders",
            "UPDATE hot SET a = b.a FROM orders b WHERE hot.a = b.a",
            "UPDATE ONLY orders SET a = 1",
            "DELETE FROM orders USING hot WHERE orders.a = hot.a",
            "DELETE FROM hot USING orders WHERE true",
            "MERGE INTO orders o USING hot h ON o.a = h.a WHEN MATCHED THEN DELETE",
            "MERGE INTO hot h USING orders o ON o.a = h.a WHEN NOT MATCHED THEN INSERT VALUES (1)",
            "MERGE INTO hot h USING (SELECT * FROM orders) o ON true WHEN MATCHED THEN DO NOTHING",
            "WITH x AS (INSERT INTO orders VALUES (1) RETURNING a) SELECT * FROM x",
            "WITH x AS MATERIALIZED (DELETE FROM hot USING orders RETURNING *) SELECT 1",
            "WITH x AS (SELECT 1) INSERT INTO orders SELECT * FROM x",
            "WITH RECURSIVE x (n) AS (SELECT 1) SEARCH DEPTH FIRST BY n SET s SELECT n FROM orders",
            "WITH RECURSIVE x AS (SELECT 1) CYCLE n SET c TO 1 DEFAULT 0 USING p, y AS (SELECT * FROM orders) SELECT 1",
            "INSERT INTO orders AS o VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 1",
            "COPY orders FROM STDIN",
            "COPY orders (a, b) TO STDOUT",
            "COPY (SELECT * FROM orders) TO STDOUT",
            "LOCK orders IN ACCESS SHARE MODE",
            "LOCK TABLE ONLY hot, orders",
            "ALTER TABLE ONLY orders OWNER TO ann",
            "REINDEX (VERBOSE) TABLE CONCURRENTLY orders",
            "CREATE STATISTICS s ON a, b FROM orders",
            "VACUUM (FULL, ANALYZE) orders",
            "ANALYZE VERBOSE orders (a), hot",
            "CLUSTER orders USING i",
            "CREATE MATERIALIZED VIEW mv AS SELECT * FROM orders",
            "EXPLAIN (ANALYZE, FORMAT JSON) DELETE FROM orders",
            "PREPARE p (int) AS SELECT * FROM orders WHERE a = $1",
            "CREATE TABLE x AS TABLE orders",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT * FROM orders",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END; SELECT * FROM orders",
        ],
    );
    check(
        &PG,
        false,
        &[
            "CREATE FUNCTION f() RETURNS TABLE (orders int) LANGUAGE sql AS $$ SELECT 1 FROM orders $$",
            "CREATE OR REPLACE FUNCTION f(orders int) RETURNS int AS $x$ BEGIN UPDATE log SET a = 1; END $x$ LANGUAGE plpgsql",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 FROM orders; DELETE FROM log; END",
            "CREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN DELETE FROM orders; END'",
            "DO $$ DECLARE orders int; BEGIN SELECT count(*) INTO orders FROM hot; DELETE FROM log; END $$",
            "CREATE POLICY p ON hot USING (orders IS NOT DISTINCT FROM orders)",
            "CREATE POLICY p ON hot WITH CHECK (a IN (SELECT a FROM orders))",
            "CREATE RULE r AS ON INSERT TO hot DO ALSO (INSERT INTO log VALUES (1); DELETE FROM orders)",
            "CREATE MATERIALIZED VIEW mv AS SELECT extract(DAY FROM log) FROM hot",
            "WITH RECURSIVE orders(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM orders) SEARCH DEPTH FIRST BY n SET s SELECT n FROM orders",
            "WITH RECURSIVE orders AS (SELECT 1) CYCLE a, b SET c USING p SELECT * FROM orders",
            "WITH orders AS NOT MATERIALIZED (SELECT 1) DELETE FROM hot USING orders",
            "WITH orders AS (UPDATE hot SET a = 1 RETURNING a) INSERT INTO hot SELECT * FROM orders",
            "SELECT overlay(status PLACING 'x' FROM 1 FOR 2), position('x' IN log) FROM hot",
            "SELECT a::orders, CAST(b AS log) FROM hot",
            "SELECT * FROM generate_series(1, 2) AS orders (log)",
            "SELECT * FROM ROWS FROM (f(1), orders(2)) AS log",
            "SELECT a FROM hot FOR UPDATE OF orders, log",
            "SELECT a FROM hot FETCH FIRST 1 ROW ONLY",
            "SELECT a INTO TABLE x FROM hot",
            "UPDATE hot SET orders = a IS DISTINCT FROM log",
            "UPDATE hot SET (orders, log) = (1, 2) FROM other AS status WHERE true",
            "INSERT INTO hot SELECT a FROM x ON CONFLICT (orders) DO UPDATE SET a = 1, orders = 2",
            "INSERT INTO hot (update, orders) VALUES (1, 2)",
            "MERGE INTO hot orders USING other log ON orders.a = log.a WHEN MATCHED THEN UPDATE SET a = 1, status = log.a",
            "COPY hot (orders, log) FROM STDIN",
            "COPY hot FROM 'orders'",
            "LOCK TABLE hot IN SHARE MODE",
            "CREATE TEMP TABLE orders (a int)",
            "CREATE TABLE hot (a int GENERATED ALWAYS AS (orders + 1) STORED, orders int)",
            "CREATE TABLE hot PARTITION OF x FOR VALUES FROM (1) TO (2)",
            "CREATE TYPE t AS (orders int)",
            "CREATE SEQUENCE orders",
            "CREATE STATISTICS orders ON log, status FROM hot",
            "COMMENT ON COLUMN hot.orders IS 'x'",
            "ALTER TABLE hot OWNER TO orders",
            "SELECT '{}'::jsonb #> '{orders}', a @> b FROM hot",
            "SELECT $1, $2 FROM hot",
            "NOTIFY orders",
            "IMPORT FOREIGN SCHEMA x FROM SERVER orders INTO log",
            "REFRESH MATERIALIZED VIEW orders",
            "SELECT 1 /* /* nested */ FROM orders */",
            "SET search_path = orders",
        ],
    );
}

#[test]
fn a_text_falls_apart_at_its_semicolons_and_nowhere_else() {
    let parts = |dialect: &Dialect, text: &str| -> Vec<String> {
        outlines(dialect, text).into_iter().map(|one| text[one.range].to_owned()).collect()
    };
    assert_eq!(parts(&MY, " SELECT 1 ;; /* a */ SELECT ';' -- ;\n; "), ["SELECT 1", "/* a */ SELECT ';' -- ;"]);
    assert_eq!(parts(&PG, "SELECT $$;$$; /* only a comment */ ; SELECT \";\""), ["SELECT $$;$$", "SELECT \";\""]);
    assert_eq!(parts(&MY, "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END; SELECT 3").len(), 2);
    assert_eq!(parts(&PG, "CREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2); SELECT 3").len(), 2);
    assert_eq!(parts(&MY, "").len(), 0);
    assert_eq!(parts(&MY, "SELECT 1; SELECT 'no end ; ").len(), 2);
    for (text, ends) in
        [("SELECT 'a'", true), ("SELECT 'a", false), ("SELECT \"a", false), ("SELECT 1 /* a", false), ("SELECT 1 -- a", true)]
    {
        assert_eq!(outline(&PG, text, &mut is_cold, &mut |_| true), ends, "{text}");
    }
    assert!(!outline(&PG, "SELECT $a$ $$", &mut is_cold, &mut |_| true));
}

#[test]
fn what_a_statement_is_besides_its_tables_is_told() {
    let one = |text: &str| outlines(&MY, text).remove(0);
    assert_eq!(one("CREATE TABLE x (a int) COMMENT 'c' ENGINE = 'OSS'").engine.as_deref(), Some("OSS"));
    assert_eq!(one("CREATE TABLE x (engine int) engine=innodb").engine.as_deref(), Some("innodb"));
    assert_eq!(one("CREATE TABLE x (a int) WITH (fillfactor = 70, engine = 's3')").engine.as_deref(), Some("s3"));
    assert_eq!(one("CREATE TABLE x AS SELECT engine FROM hot").engine, None);
    for (text, of_session) in
        [("SET x = 1", true), ("EXECUTE p", true), ("COMMIT", true), ("INSERT INTO t VALUES (1)", false), ("DROP TABLE t", false)]
    {
        assert_eq!(one(text).of_session, of_session, "{text}");
    }
}

#[test]
fn any_text_is_read_to_its_end() {
    let deep = format!("SELECT {}1{} FROM orders", "(".repeat(5_000), ")".repeat(5_000));
    assert!(claimed(&MY, &deep));
    let comments = "/*".repeat(100_000);
    assert!(!claimed(&PG, &comments));
    let names: String = (0..5_000).map(|n| format!("a{n} AS (SELECT 1), ")).collect();
    assert!(!claimed(&PG, &format!("WITH orders AS (SELECT 1), {names} b AS (SELECT 1) SELECT * FROM orders")));
    for text in [
        "'",
        "\"",
        "`",
        "/*",
        "/*!",
        "--",
        "#",
        "$",
        "$a",
        "$a$",
        "e'\\",
        "@",
        "@@",
        "@'",
        "(",
        ")",
        ")))",
        ".",
        "a.",
        ";",
        "\u{fc}",
        "SELECT 1 FROM a.",
        "WITH",
        "WITH a AS",
        "END",
        "CREATE PROCEDURE END END",
    ] {
        for dialect in [MY, PG] {
            assert!(!claimed(&dialect, text), "{text}");
        }
    }
}
