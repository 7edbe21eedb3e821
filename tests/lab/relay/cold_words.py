"""Statements over hot tables in which the name of a cold table is a word, and nowhere a table that is read: a column, an alias, a variable, a CTE,
a part of the syntax, or inside a string or a comment. Each is a list of texts for one session, which leaves nothing behind."""

# Cold tables of the sessions. `log` and `status` are words of both languages, too.
NAMES = ["orders", "log", "status"]

MYSQL_SETUP = [
    "CREATE TABLE replay.tagged (id INT PRIMARY KEY, orders INT, log DATETIME, status VARCHAR(20)) ENGINE=InnoDB",
    "INSERT INTO replay.tagged VALUES (1, 10, '2022-07-05 11:11:11', 'success'), (2, NULL, NULL, 'failed'), (3, 30, '1999-12-31 23:59:59', '')",
    *(f"CREATE TABLE replay2.{name} (id INT PRIMARY KEY, hot VARCHAR(20)) ENGINE=InnoDB" for name in NAMES),
    *(f"INSERT INTO replay2.{name} VALUES (1, 'hot {name}'), (2, NULL)" for name in NAMES),
]

# `{n}` is one of the names, `{m}` another.
MYSQL = [
    ["SELECT {n} FROM tagged ORDER BY id"],
    ["SELECT t.{n}, t.{m} AS {n} FROM tagged AS t ORDER BY t.id"],
    ["SELECT EXTRACT(DAY FROM log) FROM tagged ORDER BY id"],
    ["SELECT EXTRACT(YEAR_MONTH FROM tagged.log), TRIM(LEADING 's' FROM status) FROM tagged ORDER BY id"],
    ["SELECT TRIM(BOTH 's' FROM status), TRIM(status) FROM tagged ORDER BY id"],
    ["SELECT SUBSTRING(status FROM 2), SUBSTRING(status FROM 2 FOR 3), POSITION('c' IN status) FROM tagged ORDER BY id"],
    ["SELECT LOG(2), LOG(orders) FROM tagged ORDER BY id"],
    ["SELECT {n}.id, {n}.name FROM kinds AS {n} ORDER BY 1"],
    ["SELECT {n}.id FROM kinds {n} JOIN big {m} ON {m}.id = {n}.id ORDER BY 1"],
    ["SELECT * FROM (SELECT id FROM kinds) AS {n}, (SELECT COUNT(*) AS {m} FROM big) {m} ORDER BY 1"],
    ["SELECT COUNT(*) FROM tagged WHERE {n} IS NOT NULL AND orders BETWEEN 1 AND 100 GROUP BY {n} HAVING COUNT({n}) > 0 ORDER BY MIN(id)"],
    ["WITH {n} AS (SELECT id FROM kinds) SELECT * FROM {n} ORDER BY id"],
    ["WITH {n} (a) AS (SELECT id FROM kinds), {m} AS (SELECT a FROM {n}) SELECT {n}.a FROM {n} JOIN {m} ON {n}.a = {m}.a ORDER BY 1"],
    ["WITH RECURSIVE {n} (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM {n} WHERE n < 4) SELECT n FROM {n}"],
    ["SELECT (WITH {n} AS (SELECT 5 AS a) SELECT a FROM {n}) AS {m}"],
    ["SELECT id INTO @{n} FROM kinds WHERE id = 2", "SELECT @{n}, @`{n}` + 1"],
    ["SELECT COUNT(*) INTO @{n} FROM big", "SELECT @{n} AS {n}"],
    ["SET @{n} = (SELECT MAX(id) FROM kinds)", "SELECT @{n} FROM kinds AS {m} LIMIT 1"],
    ["SELECT 'from {n}' AS x, \"join {n}\" AS y, `id` AS `from {n}` FROM kinds ORDER BY id"],
    ["SELECT 1 /* FROM {n} JOIN {m} */ FROM kinds # UPDATE {n}\n ORDER BY id -- , {n}"],
    ["SET sql_mode = ''", "SELECT 'it\\'s from {n}', 'two '' quotes, from {n}' FROM kinds ORDER BY id"],
    ["SELECT id FROM replay2.{n} ORDER BY id"],
    ["SELECT {n}.hot, `replay2`.`{n}`.id FROM replay2.{n} ORDER BY 2"],
    ["USE replay2", "SELECT * FROM {n} ORDER BY id", "USE replay"],
    ["UPDATE replay2.{n} SET hot = 'same' WHERE id = 99", "DELETE FROM replay2.{n} WHERE id = 99"],
    ["INSERT INTO replay2.{n} VALUES (1, 'again')"],
    ["UPDATE work AS {n} SET {n}.n = 5 WHERE {n}.id = 99"],
    ["UPDATE work JOIN kinds AS {n} ON {n}.id = work.id SET work.n = 5 WHERE {n}.id > 900"],
    ["DELETE {n} FROM work AS {n} WHERE {n}.id = 99"],
    ["DELETE FROM {n} USING work AS {n} WHERE {n}.id = 99"],
    ["BEGIN", "DELETE FROM work USING work JOIN kinds AS {n} ON {n}.id = work.id WHERE {n}.id = 2", "SELECT COUNT(*) FROM work", "ROLLBACK"],
    ["BEGIN", "UPDATE tagged SET {n} = NULL WHERE id = 1", "INSERT INTO tagged (id, {n}) VALUES (9, NULL)", "SELECT {n} FROM tagged ORDER BY id", "ROLLBACK"],
    ["BEGIN", "INSERT INTO tagged (id, {n}) SELECT 50 + id, NULL FROM kinds AS {m}", "SELECT COUNT(*), COUNT({n}) FROM tagged", "ROLLBACK"],
    ["INSERT INTO tagged (id) VALUES (1) ON DUPLICATE KEY UPDATE {n} = {n}"],
    ["CREATE TEMPORARY TABLE words ({n} INT, {m} INT)", "INSERT INTO words ({n}) VALUES (1)", "SELECT {n}, {m} FROM words", "DROP TEMPORARY TABLE words"],
    ["CREATE TEMPORARY TABLE words AS SELECT id AS {n} FROM kinds", "SELECT * FROM words ORDER BY {n}", "DROP TEMPORARY TABLE words"],
    [
        "CREATE PROCEDURE counts() BEGIN DECLARE {n} INT; SELECT COUNT(*) INTO {n} FROM kinds; SELECT {n}, {n} + 1 AS {m}; END",
        "CALL counts()",
        "DROP PROCEDURE counts",
    ],
    [
        "CREATE PROCEDURE fetches() BEGIN DECLARE a INT; DECLARE {n} CURSOR FOR SELECT id FROM kinds ORDER BY id; OPEN {n}; FETCH {n} INTO a; "
        "FETCH FROM {n} INTO a; CLOSE {n}; SELECT a; END",
        "CALL fetches()",
        "DROP PROCEDURE fetches",
    ],
    ["CREATE FUNCTION plus({n} INT) RETURNS INT DETERMINISTIC RETURN {n} + 1", "SELECT plus(id) FROM kinds ORDER BY id", "DROP FUNCTION plus"],
    [
        "CREATE TRIGGER counted BEFORE INSERT ON work FOR EACH ROW BEGIN DECLARE {n} INT; SELECT COUNT(*) INTO {n} FROM kinds; SET NEW.n = {n} + 900; END",
        "BEGIN",
        "INSERT INTO work (id, name) VALUES (8, 'x')",
        "SELECT * FROM work ORDER BY id",
        "ROLLBACK",
        "DROP TRIGGER counted",
    ],
    ["CREATE VIEW words AS SELECT {n} AS {m} FROM tagged", "SELECT COUNT({m}) FROM words", "DROP VIEW words"],
    ["PREPARE {n} FROM 'SELECT id FROM kinds WHERE id = ?'", "SET @{m} = 2", "EXECUTE {n} USING @{m}", "DEALLOCATE PREPARE {n}"],
    ["HANDLER kinds OPEN AS {n}", "HANDLER {n} READ FIRST", "HANDLER {n} CLOSE"],
    ["LOCK TABLES kinds AS {n} READ", "SELECT {n}.id FROM kinds AS {n} ORDER BY 1", "UNLOCK TABLES"],
    ["BEGIN", "SAVEPOINT {n}", "ROLLBACK TO {n}", "RELEASE SAVEPOINT {n}", "COMMIT"],
    ["SHOW COLUMNS FROM tagged LIKE '{n}'", "DESCRIBE tagged {n}", "SHOW SESSION STATUS LIKE 'nothing at all'"],
    ["SHOW COLUMNS FROM replay2.{n}", "SHOW INDEX FROM replay2.{n}", "SHOW CREATE TABLE replay2.{n}"],
    ["SELECT id FROM kinds FORCE INDEX (PRIMARY) WHERE id IN (SELECT {n} FROM tagged)"],
    ["SELECT SUM(id) OVER {n} FROM kinds WINDOW {n} AS (ORDER BY id) ORDER BY 1"],
    ["SELECT 1 AS {n} UNION SELECT orders FROM tagged ORDER BY {n}"],
    ["SELECT CASE WHEN {n} IS NULL THEN 1 ELSE 2 END FROM tagged ORDER BY id"],
    ["SELECT IF(EXISTS (SELECT 1 FROM kinds AS {n} WHERE {n}.id = tagged.id), 'yes', 'no') AS {m} FROM tagged ORDER BY id"],
    ["SELECT id FROM kinds WHERE id <> (SELECT COUNT({n}) FROM tagged) ORDER BY id"],
    ["SELECT {n}.a FROM JSON_TABLE('[1,2]', '$[*]' COLUMNS (a INT PATH '$')) AS {n}"],
    ["SELECT id FROM kinds; SELECT {n} FROM tagged ORDER BY id; SELECT 'from {n}'"],
    ["ANALYZE TABLE replay2.{n}", "CHECK TABLE replay2.{n}"],
    ["ALTER TABLE replay2.{n} COMMENT = 'from {n}'", "TRUNCATE TABLE replay2.nothing"],
]
MARIADB = [
    ["BEGIN NOT ATOMIC DECLARE {n} INT; SELECT COUNT(*) INTO {n} FROM kinds; SELECT {n}; END"],
    ["EXECUTE IMMEDIATE 'SELECT id FROM kinds AS {n} ORDER BY id'"],
    ["BEGIN", "DELETE FROM tagged WHERE id = 1 RETURNING {n}, {m}", "ROLLBACK"],
]

POSTGRES_SETUP = [
    "CREATE TABLE tagged (id INT PRIMARY KEY, orders INT, log TIMESTAMP, status TEXT)",
    "INSERT INTO tagged VALUES (1, 10, '2022-07-05 11:11:11', 'success'), (2, NULL, NULL, 'failed'), (3, 30, '1999-12-31 23:59:59', '')",
    *(f"CREATE TABLE elsewhere.{name} (id INT PRIMARY KEY, hot TEXT)" for name in NAMES),
    *(f"INSERT INTO elsewhere.{name} VALUES (1, 'hot {name}'), (2, NULL)" for name in NAMES),
]

# Each runs in a transaction that is rolled back.
POSTGRES = [
    ["SELECT {n} FROM tagged ORDER BY id"],
    ["SELECT t.{n}, t.{m} AS {n} FROM tagged AS t ORDER BY t.id"],
    ["SELECT (t).{n}, tagged.{m} FROM tagged, tagged AS t WHERE t.id = tagged.id ORDER BY tagged.id"],
    ["SELECT extract(day FROM log), extract(epoch FROM tagged.log) FROM tagged ORDER BY id"],
    ["CREATE MATERIALIZED VIEW words AS SELECT extract(day FROM log) AS {n} FROM tagged", "SELECT count({n}) FROM words", "REFRESH MATERIALIZED VIEW words"],
    ["SELECT trim(both 's' FROM status), trim(FROM status), trim(leading FROM status) FROM tagged ORDER BY id"],
    ["SELECT substring(status FROM 2), substring(status FROM '.c'), overlay(status PLACING 'x' FROM 1), position('c' IN status) FROM tagged ORDER BY id"],
    ["SELECT id FROM tagged WHERE {n} IS DISTINCT FROM NULL ORDER BY id"],
    ["SELECT id FROM tagged WHERE orders IS NOT DISTINCT FROM orders AND status IS DISTINCT FROM status"],
    ["SELECT log(2), log(orders) FROM tagged ORDER BY id"],
    ["SELECT {n}.id, {n}.name FROM kinds AS {n} ORDER BY 1", "SELECT {n} IS NULL FROM kinds {n} ORDER BY 1"],
    ["SELECT {n}.id FROM kinds {n} JOIN big {m} ON {m}.id = {n}.id ORDER BY 1"],
    ["SELECT * FROM (SELECT id FROM kinds) AS {n}, (SELECT count(*) AS {m} FROM big) {m} ORDER BY 1"],
    ["SELECT {n} FROM generate_series(1, 3) AS {n}", "SELECT {n}.a FROM unnest(ARRAY[1, 2]) AS {n} (a)", "SELECT * FROM generate_series(1, 2) {n}"],
    ["SELECT {n}.x FROM kinds, LATERAL (SELECT kinds.id + 1 AS x) AS {n} ORDER BY 1"],
    ["SELECT count(*) FROM tagged GROUP BY {n} HAVING count({n}) > 0 ORDER BY min(id)"],
    ["WITH {n} AS (SELECT id FROM kinds) SELECT * FROM {n} ORDER BY id"],
    ["WITH {n} (a) AS MATERIALIZED (SELECT id FROM kinds), {m} AS (SELECT a FROM {n}) SELECT {n}.a FROM {n} JOIN {m} USING (a) ORDER BY 1"],
    ["WITH RECURSIVE {n} (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM {n} WHERE n < 4) SELECT n FROM {n}"],
    ["WITH RECURSIVE {n} (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM {n} WHERE n < 4) SEARCH DEPTH FIRST BY n SET s SELECT n FROM {n} ORDER BY s"],
    ["WITH RECURSIVE {n} (n) AS (SELECT 1 UNION ALL SELECT n % 3 + 1 FROM {n}) CYCLE n SET looped USING path SELECT n, looped FROM {n}"],
    ["SELECT (WITH {n} AS (SELECT 5 AS a) SELECT a FROM {n}) AS {m}"],
    ["WITH {n} AS (INSERT INTO work VALUES (8, 'x', 80) RETURNING id) SELECT * FROM {n}"],
    ["SELECT 'from {n}' AS x, id AS \"from {n}\", $$from {n}$$, $q$join {n}$q$, E'it\\'s from {n}' FROM kinds ORDER BY id"],
    ["SELECT 1 /* FROM {n} /* JOIN */ {m} */ FROM kinds -- UPDATE {n}\n ORDER BY id -- , {n}"],
    ["SET LOCAL standard_conforming_strings = off", "SET LOCAL escape_string_warning = off", "SELECT 'it\\'s from {n}, ' AS x, ' from {m}' FROM kinds"],
    ["SELECT U&\"\\0069d\" AS \"{n}\" FROM kinds ORDER BY 1"],
    ["SELECT id FROM elsewhere.{n} ORDER BY id", "SELECT elsewhere.{n}.hot FROM elsewhere.{n} ORDER BY 1", "TABLE elsewhere.{n}"],
    ["SET LOCAL search_path = elsewhere, public", "SELECT * FROM {n} ORDER BY id", "UPDATE {n} SET hot = 'x' WHERE id = 1", "TABLE {n}"],
    ["SET LOCAL search_path = elsewhere, public", "LOCK TABLE {n} IN SHARE MODE", "LOCK {n}"],
    ["SET LOCAL search_path = elsewhere, public", "ALTER TABLE {n} OWNER TO CURRENT_USER", "ALTER TABLE {n} ADD COLUMN more INT", "TABLE {n}"],
    ["SET LOCAL search_path = elsewhere, public", "REINDEX TABLE {n}", "CREATE STATISTICS words ON id, hot FROM {n}", "ANALYZE {n}"],
    ["SET LOCAL search_path = elsewhere, public", "CREATE INDEX ON {n} (hot)", "COMMENT ON TABLE {n} IS 'hot'", "GRANT SELECT ON {n} TO PUBLIC"],
    ["SET LOCAL search_path = elsewhere, public", "COPY {n} TO STDOUT", "COPY {n} (id) TO STDOUT (FORMAT csv)", "TRUNCATE {n}", "SELECT count(*) FROM {n}"],
    ["SET LOCAL search_path = elsewhere, public", "DELETE FROM {n} WHERE id = 2", "INSERT INTO {n} VALUES (7, 'seven') RETURNING *", "DROP TABLE {n}"],
    ["SET LOCAL search_path = elsewhere, public", "SELECT id FROM {n} ORDER BY id", "SELECT 'ä', absent FROM {n}"],
    ["SET LOCAL search_path = elsewhere, public", "PREPARE words AS SELECT * FROM {n} ORDER BY id", "EXECUTE words", "EXPLAIN (COSTS OFF) EXECUTE words", "DEALLOCATE words"],
    ["SET LOCAL search_path = elsewhere, public", "DECLARE words CURSOR FOR SELECT * FROM {n} ORDER BY id", "FETCH 1 FROM words", "MOVE 1 IN words", "CLOSE words"],
    ["SET search_path = elsewhere, public", "TABLE {n}", "SET search_path TO elsewhere", "SELECT * FROM {n}, {m} ORDER BY 1, 3"],
    ["SET search_path = elsewhere, public", "SET TimeZone = 'Asia/Tokyo'", "SELECT count(*) FROM {n}", "SET TimeZone = 'Europe/Paris'", "SELECT count(*) FROM {m}"],
    ["SELECT set_config('search_path', 'elsewhere, public', true)", "SELECT * FROM {n} ORDER BY id", "UPDATE {n} SET hot = 'x' WHERE id = 1", "TABLE {n}"],
    ["DO $$ BEGIN PERFORM set_config('search_path', 'elsewhere, public', true); END $$", "DELETE FROM {n} WHERE id = 1 RETURNING *", "COPY {n} TO STDOUT"],
    ["SAVEPOINT a", "SET LOCAL search_path = elsewhere, public", "TABLE {n}", "RELEASE a", "TABLE {n}", "SELECT hot, 1 / (id - 1) FROM {n}"],
    ["CREATE TEMP TABLE {n} (id INT, hot TEXT)", "INSERT INTO {n} VALUES (1, 'x')", "SELECT * FROM {n}", "ALTER TABLE {n} ADD COLUMN more INT", "TABLE {n}", "DROP TABLE {n}"],
    ["CREATE TEMP TABLE {n} ON COMMIT DROP AS SELECT id FROM kinds", "SELECT count(*) FROM {n}", "CREATE INDEX ON {n} (id)", "ANALYZE {n}", "DROP TABLE pg_temp.{n}"],
    ["UPDATE work AS {n} SET n = 500 WHERE {n}.id = 1 RETURNING {n}.n", "UPDATE work SET name = {n}.name FROM kinds AS {n} WHERE {n}.id = work.id"],
    ["DELETE FROM work USING kinds AS {n} WHERE {n}.id = work.id AND {n}.id = 2", "DELETE FROM work {n} WHERE {n}.id = 3 RETURNING *"],
    ["INSERT INTO tagged (id, {n}) VALUES (9, NULL) RETURNING {n}", "INSERT INTO tagged AS {n} (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET status = {n}.status"],
    ["INSERT INTO tagged (id, {n}) SELECT 50 + id, NULL FROM kinds AS {m}", "SELECT count(*), count({n}) FROM tagged"],
    ["CREATE TEMP TABLE words ({n} INT, {m} INT)", "INSERT INTO words ({n}) VALUES (1)", "TABLE words"],
    ["CREATE TEMP TABLE words AS SELECT id AS {n} FROM kinds", "SELECT * FROM words ORDER BY {n}"],
    ["CREATE FUNCTION words() RETURNS TABLE ({n} INT) LANGUAGE sql AS 'SELECT id FROM kinds ORDER BY id'", "SELECT * FROM words()"],
    ["CREATE FUNCTION words() RETURNS INT LANGUAGE plpgsql AS $$ DECLARE {n} INT; BEGIN SELECT count(*) INTO {n} FROM kinds; RETURN {n}; END $$", "SELECT words()"],
    [
        "CREATE FUNCTION words() RETURNS TABLE ({n} INT, {m} TEXT) LANGUAGE plpgsql AS $f$ BEGIN FOR {n} IN SELECT id FROM kinds ORDER BY id LOOP {m} := 'x'; RETURN NEXT; END LOOP; END $f$",
        "SELECT {n}, {m} FROM words()",
    ],
    ["CREATE FUNCTION words({n} INT) RETURNS INT LANGUAGE sql RETURN {n} + 1", "SELECT words(id) FROM kinds ORDER BY 1"],
    ["CREATE PROCEDURE words(INOUT {n} INT) LANGUAGE plpgsql AS $$ BEGIN SELECT count(*) INTO {n} FROM big; END $$", "CALL words(1)"],
    ["DO $$ DECLARE {n} INT; BEGIN SELECT max(id) INTO {n} FROM kinds; UPDATE work SET n = {n} + 900 WHERE id = 1; END $$", "SELECT n FROM work ORDER BY id"],
    ["CREATE POLICY words ON tagged USING ({n} IS NOT DISTINCT FROM {n})", "DROP POLICY words ON tagged"],
    ["CREATE VIEW words AS SELECT {n} AS {m} FROM tagged", "SELECT count({m}) FROM words", "CREATE OR REPLACE RULE r AS ON DELETE TO words DO INSTEAD NOTHING"],
    ["CREATE TYPE words AS ({n} INT, {m} TEXT)", "SELECT (ROW(1, 'x')::words).{n}"],
    ["CREATE INDEX ON tagged ({n})", "CREATE STATISTICS words ON {n}, {m} FROM tagged", "COMMENT ON COLUMN tagged.{n} IS 'from {n}'"],
    ["ALTER TABLE tagged RENAME COLUMN {n} TO other", "ALTER TABLE tagged ADD COLUMN {n} INT", "SELECT {n}, other FROM tagged ORDER BY id"],
    ["ALTER TABLE tagged DROP COLUMN {n}", "GRANT SELECT ({m}) ON tagged TO PUBLIC", "ALTER TABLE tagged ADD CONSTRAINT {n} CHECK ({m} IS DISTINCT FROM NULL) NOT VALID"],
    ["CREATE TRIGGER words BEFORE UPDATE OF {n} ON tagged FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()", "UPDATE tagged SET {n} = {n}"],
    ["PREPARE {n} AS SELECT id FROM kinds WHERE id = $1", "EXECUTE {n}(2)", "DEALLOCATE {n}"],
    ["PREPARE words AS SELECT {n} FROM tagged ORDER BY id; EXECUTE words; DEALLOCATE words"],
    ["DECLARE {n} CURSOR FOR SELECT id FROM kinds ORDER BY id", "FETCH 1 FROM {n}", "MOVE 1 IN {n}", "FETCH ALL {n}", "CLOSE {n}"],
    ["DECLARE words CURSOR FOR SELECT {n} FROM tagged ORDER BY id", "FETCH ALL FROM words"],
    ["SAVEPOINT {n}", "ROLLBACK TO {n}", "RELEASE {n}"],
    ["COPY tagged ({n}) TO STDOUT", "COPY (SELECT {n} FROM tagged AS {m} ORDER BY id) TO STDOUT"],
    ["EXPLAIN (COSTS OFF) SELECT {n} FROM tagged", "SHOW log_statement"],
    ["SELECT sum(id) OVER {n} FROM kinds WINDOW {n} AS (ORDER BY id)", "SELECT 1 AS {n} UNION SELECT orders FROM tagged ORDER BY {n}"],
    ["SELECT CASE WHEN {n} IS NULL THEN 1 ELSE 2 END, COALESCE(status, 'from {n}') FROM tagged ORDER BY id"],
    ["SELECT id FROM kinds; SELECT {n} FROM tagged ORDER BY id; SELECT 'from {n}'"],
    ["SELECT count(*) FROM kinds AS x TABLESAMPLE SYSTEM (100), ROWS FROM (generate_series(1, 2)) AS {n}"],
    ["LISTEN {n}", "NOTIFY {n}, 'from {n}'", "UNLISTEN {n}"],
    ["SET LOCAL my.{n} = 'from {n}'", "SELECT current_setting('my.{n}')"],
]
POSTGRES_15 = [
    ["MERGE INTO work USING kinds AS {n} ON {n}.id = work.id WHEN MATCHED THEN UPDATE SET name = {n}.name WHEN NOT MATCHED THEN DO NOTHING", "SELECT count(*) FROM work"],
    [
        "SET LOCAL search_path = elsewhere, public",
        "MERGE INTO {n} USING tagged AS t ON t.id = {n}.id WHEN MATCHED THEN UPDATE SET hot = t.status WHEN NOT MATCHED THEN INSERT VALUES (t.id, 'new')",
        "SELECT * FROM {n} ORDER BY id",
    ],
]


def _drawn(rnd, sequences):
    first, second = rnd.sample(NAMES, 2)
    sequence = [text.replace("{n}", first).replace("{m}", second) for text in rnd.choice(sequences)]
    # Words of the language are read in either case.
    return [text.replace("FROM", "from").replace("SELECT", "select") if rnd.random() < 0.3 else text for text in sequence]


def mysql(rnd, mariadb):
    return _drawn(rnd, MYSQL + (MARIADB if mariadb else []))


def postgres(rnd, version):
    return ["BEGIN", *_drawn(rnd, POSTGRES + (POSTGRES_15 if version >= 15 else [])), "ROLLBACK"]
