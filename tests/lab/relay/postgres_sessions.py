"""PostgreSQL scripts from a seed. What they make is temporary or rolled back, so that a second run finds what the first one found."""

import random
import struct

from . import cold_words
from .postgres import PROTOCOL_3, PROTOCOL_3_2, Cancelled, Login, Script, Step

SETUP = [
    "CREATE TYPE mood AS ENUM ('sad', 'ok')",
    """CREATE TABLE kinds (id INT PRIMARY KEY, flag BOOLEAN, small SMALLINT, big BIGINT, price NUMERIC(20,4), single REAL, precise DOUBLE PRECISION, code CHAR(4),
       name VARCHAR(100), note TEXT, raw BYTEA, day DATE, clock TIME, moment TIMESTAMP, instant TIMESTAMPTZ, span INTERVAL, doc JSON, ident UUID, nums INT[], m mood)""",
    r"""INSERT INTO kinds VALUES (1, true, -32768, -9223372036854775808, '1234567890123456.7891', 1.5, -2.5e-300, 'ä€', 'Łódź 東京', E'l1\nl2', '\x000102ff', '2024-02-29',
       '23:59:59.999999', '2022-07-05 11:11:11.123456', '2022-07-05 11:11:11+02', '1 day 2 hours', '{"a": [1, null]}', '123e4567-e89b-12d3-a456-426614174000', '{1,NULL,3}', 'ok'),
       (2, false, 0, 0, 'NaN', 'Infinity', 'NaN', '', '', '', '', '4713-01-01 BC', '00:00', 'infinity', '-infinity', '0', '[]', '00000000-0000-0000-0000-000000000000', '{}', 'sad')""",
    "INSERT INTO kinds (id) VALUES (3)",
    "CREATE TABLE big AS SELECT id, repeat(chr(65 + id % 26), id % 200) AS pad FROM generate_series(1, 900) AS id",
    "CREATE TABLE work (id INT PRIMARY KEY, name TEXT, n INT UNIQUE)",
    "INSERT INTO work VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3)",
    "CREATE FUNCTION tells(n INT) RETURNS INT LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..n LOOP RAISE NOTICE 'notice % AS OF', i; END LOOP; RETURN n; END $$",
    "CREATE FUNCTION fails() RETURNS INT LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'careful'; RAISE EXCEPTION 'on purpose' USING ERRCODE = 'P4711', HINT = 'none', DETAIL = 'some'; END $$",
    "CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; COMMIT; PERFORM 2; END $$",
    "CREATE SCHEMA elsewhere",
    "CREATE TABLE elsewhere.kinds (other INT)",
    *cold_words.POSTGRES_SETUP,
    "ANALYZE",
]

DECOYS = [
    "SELECT 'x AS OF TIMESTAMP y' AS \"as of timestamp\"",
    "SELECT 1 /* FROM cold1 AS OF /* nested */ TIMESTAMP '2020-01-01' */",
    "SELECT 1 -- AS OF TSO 5",
    'SELECT id FROM kinds AS "AS" ORDER BY id',
    "SELECT id AS cold1 FROM kinds ORDER BY id",
    "SELECT $$ALTER FILESTORAGE OSS PURGE BEFORE TIMESTAMP$$",
    "SELECT $q$ SELECT * FROM cold1 AS OF TIMESTAMP '2020' $q$",
    "SELECT * FROM kinds AS OF TIMESTAMP '2020-01-01 00:00:00'",
    "SELECT * FROM kinds AS OF WHERE id = 1",
    "SELECT E'it''s \\' AS OF' AS flashback",
    "SELECT 1 AS recyclebin",
    'SELECT id FROM kinds AS "OF" WHERE "OF".id = 1',
    "SELECT U&'\\0041S OF'",
    "SELECT 1 AS tso",
    "SELECT timestamp '2020-01-01', 2 AS of",
    "SELECT 'a' 'b'",
    "SELECT 'engine=''OSS'''",
    "SELECT * FROM (VALUES (1, 'AS OF')) AS cold1 (a, b)",
    "WITH cold1 AS (SELECT 1 AS a) SELECT * FROM cold1",
]
SOUP = "SELECT FROM WHERE kinds big id name AS OF TIMESTAMP 'x' ( ) , * = 1 ; -- /* */ \" ' NULL AND OR UNION ALL JOIN ON BEGIN END $$ $1 :: é".split()
STATEMENTS = [
    ("SELECT * FROM kinds WHERE id >= $1 ORDER BY id", 1),
    ("SELECT $1::text, $2::int", 2),
    ("SELECT id, pad FROM big WHERE id < $1::int ORDER BY id", 1),
    ("SELECT 1", 0),
    ("INSERT INTO t (id, name) VALUES ($1, $2)", 2),
    ("UPDATE t SET name = $1 WHERE id = $2", 2),
    ("SELECT absent FROM kinds", 0),
    ("SELEC $1", 0),
    ("", 0),
    ("SELECT * FROM kinds AS OF TIMESTAMP $1", 1),
    ("SELECT length($1), 'AS OF TIMESTAMP'", 1),
    ("SELECT 1; SELECT 2", 0),
    ("BEGIN", 0),
    ("COMMIT", 0),
    ("ROLLBACK", 0),
    ("DELETE FROM t WHERE id = $1", 1),
    ("SELECT tells(2)", 0),
    ("SELECT fails()", 0),
    ("SELECT 10 / $1::int", 1),
    ("SET search_path = elsewhere, public", 0),
    ("SHOW search_path", 0),
    ("VALUES ($1, 2), ('b', 3)", 1),
    ("COPY (SELECT id FROM big ORDER BY id LIMIT 20) TO STDOUT", 0),
    ("LISTEN canal", 0),
    ("NOTIFY canal, 'AS OF'", 0),
]


def script(seed, version, user="root", password="", heavy=False, cold=False):
    """`cold`: names of cold tables are drawn as words of hot statements."""
    return _Maker(random.Random(seed), version, user, password, heavy, cold).make(seed)


def cstring(text):
    return (text if isinstance(text, bytes) else text.encode()) + b"\0"


class _Maker:
    def __init__(self, rnd, version, user, password, heavy, cold):
        self.rnd, self.version, self.user, self.password, self.heavy, self.cold = rnd, version, user, password, heavy, cold
        self.names = {"": 0}

    def make(self, seed):
        rnd = self.rnd
        login, steps = self._login(), []
        if rnd.random() < 0.6:
            steps.append(self._query("CREATE TEMP TABLE t (id INT PRIMARY KEY, name VARCHAR(50) NOT NULL); INSERT INTO t VALUES (1, 'a'), (2, 'b')"))
        for _ in range(rnd.randrange(2, 14)):
            kind = rnd.choices(
                ["select", "decoy", "change", "transaction", "error", "multi", "set", "extended", "pipeline", "copy", "function", "notify", "soup", "huge", "cold_words"],
                [14, 8, 8, 6, 6, 6, 6, 16, 14, 8, 3, 4, 3, 0.1 if self.heavy else 0, 50 if self.cold else 0],
            )[0]
            made = getattr(self, f"_{kind}")()
            steps += made if isinstance(made, list) else [made]
        if rnd.random() < 0.01:
            steps += [Cancelled(b"SELECT pg_sleep(15)"), self._query("SELECT 'alive'")]
        return Script(login, steps, polite=rnd.random() < 0.8, seed=seed)

    def _login(self):
        rnd = self.rnd
        parameters = [("user", self.user), ("database", "replay")]
        for name, values in (
            ("application_name", ["replay", "AS OF", ""]),
            ("client_encoding", ["UTF8", "LATIN1", "SQL_ASCII", "NOSUCH", "SJIS"]),
            ("DateStyle", ["German", "ISO, MDY"]),
            ("TimeZone", ["Asia/Tokyo", "No/Where"]),
            ("options", ["-c search_path=elsewhere,public", "-c no_such=1", "-c extra_float_digits=0"]),
            ("extra_float_digits", ["3"]),
            ("IntervalStyle", ["iso_8601"]),
            ("standard_conforming_strings", ["off"]),
        ):
            if rnd.random() < 0.08:
                parameters.append((name, rnd.choice(values)))
        login = Login(parameters, self.password)
        fate = rnd.random()
        if fate < 0.012:
            parameters[1] = ("database", "absent")
        elif fate < 0.024:
            parameters[0] = ("user", "nobody at all")
        elif fate < 0.03:
            parameters.pop(0)
        elif fate < 0.06:
            # A newer minor version and unknown options: NegotiateProtocolVersion, or the longer keys of 3.2.
            login.protocol = rnd.choice([PROTOCOL_3_2, PROTOCOL_3 | 9])
            if rnd.random() < 0.5:
                parameters.append(("_pq_.made_up", "1"))
        elif fate < 0.065:
            login.raw = struct.pack(">II", 8, rnd.choice([2 << 16, 4 << 16, 12345]))
        elif fate < 0.08:
            login.gss_first = True
        elif fate < 0.1:
            # A walsender that speaks SQL, too.
            parameters.append(("replication", "database"))
        return login

    @staticmethod
    def _query(text):
        return Step([(b"Q", cstring(text))])

    # --- simple ---

    def _text(self):
        rnd = self.rnd
        return rnd.choice(
            [
                "SELECT 1",
                "SELECT NULL, '', 'x', 1.5, 1e10, '\\x00ff'::bytea, DATE '2020-02-02'",
                "SELECT * FROM kinds ORDER BY id",
                "SELECT id FROM kinds WHERE id > 100",
                f"SELECT * FROM big WHERE id <= {rnd.randrange(900)} ORDER BY id",
                f"SELECT repeat('{rnd.choice('xyz')}', {rnd.choice([250, 8192, 65536, 300000])})",
                "SELECT",
                "SELECT * FROM t ORDER BY id",
                "SELECT count(*), sum(id) FROM t",
                "SELECT k.id, b.pad FROM kinds k JOIN big b ON b.id = k.id ORDER BY 1",
                "SELECT FROM big LIMIT 3",
                "SELECT * FROM kinds LIMIT 0",
                "TABLE work",
                "SELECT " + ", ".join(f"{i} AS c{i}" for i in range(rnd.choice([10, 250, 1600]))),
                "VALUES (1, 'a'), (2, NULL)",
                "SELECT current_setting('search_path'), current_user, current_schema",
                "SHOW standard_conforming_strings",
                "EXPLAIN (COSTS OFF) SELECT 1",
                f"SELECT tells({rnd.randrange(4)})",
                "SELECT relname FROM pg_class WHERE relname IN ('kinds', 'big') ORDER BY 1",
                "DECLARE c CURSOR FOR SELECT 1",
                "FETCH ALL FROM c",
                "SELECT name FROM kinds WHERE id = 1",
            ]
        )

    def _select(self):
        return self._query(self._text())

    def _decoy(self):
        return self._query(self.rnd.choice(DECOYS))

    def _cold_words(self):
        texts, kind = cold_words.postgres(self.rnd, self.version), self.rnd.random()
        # What a string is would be settled for all of one text before its SET.
        if kind < 0.2 and not any("standard_conforming_strings" in text for text in texts):
            return [self._query("\n; ".join(texts)), self._query("ROLLBACK")]
        if kind < 0.45:
            steps = []
            for text in texts:
                messages = [(b"P", b"\0" + cstring(text) + b"\0\0"), (b"B", b"\0\0\0\0\0\0\0\0"), (b"D", b"P\0"), (b"E", b"\0\0\0\0\0"), (b"S", b"")]
                steps.append(Step(messages))
            return steps
        return [self._query(text) for text in texts]

    def _changes(self):
        n = self.rnd.randrange(30)
        return self.rnd.choice(
            [
                f"INSERT INTO t VALUES ({n}, 'r')",
                f"INSERT INTO t VALUES ({n}, 'r') ON CONFLICT (id) DO UPDATE SET name = 'again' RETURNING *",
                f"UPDATE t SET name = 'u' WHERE id < {n}",
                f"DELETE FROM t WHERE id = {n} RETURNING id",
                "INSERT INTO t SELECT id + 1000, pad FROM big WHERE id < 20 ON CONFLICT DO NOTHING",
                "TRUNCATE t",
                "CREATE TEMP TABLE u AS SELECT id, name FROM kinds",
                "DROP TABLE IF EXISTS u, nothing",
                "ALTER TABLE t ADD COLUMN IF NOT EXISTS more INT DEFAULT 7",
                "INSERT INTO t VALUES (1, NULL)",
                "INSERT INTO t VALUES (99, repeat('long', 20))",
                "DO $$ BEGIN RAISE NOTICE 'done'; END $$",
                "CALL commits()",
            ]
        )

    def _change(self):
        return self._query(self._changes())

    def _transaction(self):
        rnd = self.rnd
        out = [rnd.choice(["BEGIN", "START TRANSACTION READ ONLY", "BEGIN ISOLATION LEVEL SERIALIZABLE"])]
        out += rnd.choices(
            [
                "INSERT INTO work VALUES (9, 'w', 77)",
                "UPDATE work SET name = 'changed' WHERE id = 2",
                "DELETE FROM work",
                "SELECT * FROM work ORDER BY id",
                "SAVEPOINT a",
                "ROLLBACK TO a",
                "RELEASE a",
                "SELECT id FROM work WHERE id = 1 FOR UPDATE",
                "SELECT lo_create(42424)",
                "SELECT lo_open(42424, 393216)",
                "SELECT lowrite(0, 'bytes')",
                "DECLARE c CURSOR FOR TABLE big",
                "FETCH 5 FROM c",
                "MOVE 3 IN c",
                "CREATE TABLE gone (id INT)",
                "SELECT fails()",
                "LISTEN canal",
            ],
            k=rnd.randrange(1, 6),
        )
        return [self._query(text) for text in [*out, "ROLLBACK"]]

    def _errors(self):
        return self.rnd.choice(
            [
                "SELEC 1",
                "SELECT * FROM absent",
                "SELECT absent FROM kinds",
                "INSERT INTO kinds (id) VALUES (1)",
                "SELECT 1 FROM nowhere.nothing",
                "",
                " ",
                ";",
                ";;",
                "SELECT 1/0",
                "SELECT 1 / (id - 700) FROM big ORDER BY id",
                "SELECT fails()",
                "SELECT 'unclosed",
                "SELECT 1 /* unclosed",
                "SELECT $$ unclosed",
                "DROP TABLE absent",
                "SET no_such = 1",
                "SELECT (SELECT id FROM big)",
                "COPY absent TO STDOUT",
                "SELECT 'x'::int",
                "EXECUTE nothing",
                "FETCH ALL FROM nothing",
                "COMMIT",
                "ROLLBACK",
                "SELECT E'\\xff'",
                "SELECT 1 WHERE",
            ]
        )

    def _error(self):
        return self._query(self._errors())

    def _multi(self):
        rnd = self.rnd
        makers = [self._text, self._changes, self._errors, lambda: rnd.choice(DECOYS), lambda: "BEGIN", lambda: "ROLLBACK", lambda: "COPY (SELECT 1) TO STDOUT"]
        # A COMMENT to the end of the line would hide what follows, and so would what is not closed: also of interest.
        return [
            self._query(rnd.choice(["; ", ";\n"]).join(rnd.choice(makers)() for _ in range(rnd.randrange(2, 6))) + rnd.choice(["", ";"])),
            self._query("ROLLBACK"),
        ]

    def _set(self):
        return self._query(
            self.rnd.choice(
                [
                    "SET client_encoding = 'LATIN1'",
                    "SET client_encoding = 'UTF8'",
                    "SET TIME ZONE 'Asia/Tokyo'",
                    "SET DateStyle = 'SQL, DMY'",
                    "SET search_path = elsewhere, public",
                    "RESET ALL",
                    "SET application_name = 'AS OF TIMESTAMP'",
                    "SET SESSION AUTHORIZATION DEFAULT",
                    "DISCARD ALL",
                    "SET standard_conforming_strings = off",
                    "SET client_min_messages = debug1",
                    "SET client_min_messages = error",
                    "RESET client_min_messages",
                    "SET ROLE root",
                    "SET bytea_output = 'escape'",
                    "DISCARD TEMP",
                    "DEALLOCATE ALL",
                    "SET default_transaction_read_only = on",
                ]
            )
        )

    def _soup(self):
        return [self._query(" ".join(self.rnd.choices(SOUP, k=self.rnd.randrange(2, 15)))), self._query("ROLLBACK")]

    def _huge(self):
        size = self.rnd.choice([(1 << 24) + 5, 1 << 20])
        return self._query(
            self.rnd.choice([b"SELECT length('" + b"h" * size + b"')", f"SELECT repeat('r', {size})", b"SELECT 1 /* " + b"c" * size + b" AS OF TIMESTAMP */"])
        )

    # --- extended ---

    def _parse(self, name):
        text, count = self.rnd.choice(STATEMENTS)
        self.names[name] = count
        types = self.rnd.choice([b"", b"", struct.pack(">I", 23), struct.pack(">II", 25, 0)])
        return b"P", cstring(name) + cstring(text) + struct.pack(">H", len(types) // 4) + types

    def _bind(self, portal, name):
        rnd = self.rnd
        count = self.names.get(name, 0) + (1 if rnd.random() < 0.03 else 0)
        values = b""
        for _ in range(count):
            value = rnd.choice([None, b"1", b"2", b"300", b"text", b"0", b"2020-01-01", "é€".encode(), b"v" * 500, b""])
            values += struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value
        results = rnd.choice([b"\0\0", b"\0\0", b"\0\1\0\1", b"\0\1\0\0"])
        formats = b"\0\0" if rnd.random() < 0.95 else b"\0\1\0\1"
        return b"B", cstring(portal) + cstring(name) + formats + struct.pack(">H", count) + values + results

    def _run(self):
        """Messages of one statement's life, whole or not."""
        rnd = self.rnd
        name, portal = rnd.choice(["", "", "s1", "s2"]), rnd.choice(["", "", "p1"])
        out = []
        if name == "" or rnd.random() < 0.6 or name not in self.names:
            if name and rnd.random() < 0.7:
                out.append((b"C", b"S" + cstring(name)))
            out.append(self._parse(name))
        if rnd.random() < 0.3:
            out.append((b"D", b"S" + cstring(name)))
        if rnd.random() < 0.93:
            if portal and rnd.random() < 0.8:
                out.append((b"C", b"P" + cstring(portal)))
            out.append(self._bind(portal, name))
            if rnd.random() < 0.5:
                out.append((b"D", b"P" + cstring(portal)))
            for _ in range(rnd.choice([0, 1, 1, 1, 2, 3])):
                out.append((b"E", cstring(portal) + struct.pack(">i", rnd.choice([0, 0, 1, 2, 50, 10000]))))
            if rnd.random() < 0.2:
                out.append((b"C", b"P" + cstring(portal)))
        if rnd.random() < 0.1:
            out.append((b"C", rnd.choice([b"S", b"P", b"X"]) + cstring(rnd.choice(["", "s1", "nothing"]))))
        if rnd.random() < 0.03:
            out.append((b"D", b"X" + cstring("")))
        return out

    def _extended(self):
        out = self._run()
        if self.rnd.random() < 0.25:
            return [Step([*out, (b"H", b"")]), Step([*self._run(), (b"S", b"")], split=self.rnd.choice([0, 0, 1, 7])), self._query("ROLLBACK")]
        return [Step([*out, (b"S", b"")]), self._query("ROLLBACK")]

    def _pipeline(self):
        out = []
        for _ in range(self.rnd.randrange(2, 8)):
            out += self._run()
            if self.rnd.random() < 0.35:
                out.append((b"S", b""))
            elif self.rnd.random() < 0.1:
                out.append((b"H", b""))
            elif self.rnd.random() < 0.08:
                out += [(b"S", b""), (b"Q", cstring(self._text()))]
        return [Step([*out, (b"S", b"")]), self._query("ROLLBACK")]

    # --- the rest ---

    def _copy(self):
        rnd = self.rnd
        kind = rnd.randrange(7)
        if kind == 0:
            return self._query(
                rnd.choice(
                    [
                        "COPY kinds TO STDOUT",
                        "COPY kinds TO STDOUT (FORMAT csv, HEADER)",
                        "COPY big TO STDOUT (FORMAT binary)",
                        "COPY (SELECT 1/(5-id) FROM big) TO STDOUT",
                        "COPY kinds (id) TO STDOUT",
                    ]
                )
            )
        data = [
            (b"d", rnd.choice([b"70\tx\n71\ty\n", b"1\tdup\n", b"bad line\n", b"72,csv\n", b"73\t", b"part\n", b"\\.\n", b"9\t" + b"z" * 9000 + b"\n"]))
            for _ in range(rnd.randrange(5))
        ]
        end = (b"c", b"") if rnd.random() < 0.75 else (b"f", cstring("changed my mind"))
        text = rnd.choice(
            ["COPY t (id, name) FROM STDIN", "COPY t (id, name) FROM STDIN (FORMAT csv)", "COPY absent FROM STDIN", "COPY t (id, name) FROM STDIN; SELECT 5"]
        )
        if kind < 3:
            return [self._query(text), Step([*data, end])]
        if kind == 3:
            # All at once, without waiting for the question.
            return [Step([(b"Q", cstring(text)), *data, end])]
        if kind == 4:
            return [self._query(text), Step([*data, (b"S", b""), (b"H", b""), end])]
        if kind == 5:
            # The extended protocol: after an error, copy data are skipped up to the Sync.
            return [
                Step(
                    [
                        (b"P", b"\0" + cstring("COPY t (id, name) FROM STDIN") + b"\0\0"),
                        (b"B", b"\0\0\0\0\0\0\0\0"),
                        (b"E", b"\0\0\0\0\0"),
                        *data,
                        end,
                        (b"S", b""),
                    ]
                )
            ]
        return [self._query(text), Step([*data, (b"Q", cstring("SELECT 'not now'"))]), self._query("SELECT 'after'")]

    def _function(self):
        rnd = self.rnd
        number, arguments = rnd.choice(
            [(1397, [struct.pack(">i", -5)]), (871, ["é AS OF".encode()]), (1397, []), (4_000_000, []), (871, [None]), (1397, [b"bad"])]
        )
        body = struct.pack(">IHHH", number, 1, 1, len(arguments))
        body += b"".join(struct.pack(">i", -1) if one is None else struct.pack(">i", len(one)) + one for one in arguments) + struct.pack(
            ">H", rnd.choice([1, 1, 0])
        )
        return [Step([(b"F", body)]), self._query("ROLLBACK")]

    def _notify(self):
        return [
            self._query(text)
            for text in self.rnd.choice(
                [
                    ["LISTEN canal", "NOTIFY canal", "UNLISTEN *"],
                    ["LISTEN canal; NOTIFY canal, 'one'; NOTIFY canal, 'two'", "UNLISTEN canal"],
                    ["LISTEN canal", "BEGIN", "NOTIFY canal, 'late'", "SELECT 1", "COMMIT", "UNLISTEN *"],
                    ["SELECT pg_notify('canal', repeat('n', 7000))"],
                    ["NOTIFY canal, ''"],
                ]
            )
        ]
