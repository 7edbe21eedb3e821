"""MySQL scripts from a seed. What they make is temporary or rolled back, so that a second run finds what the first one found."""

import random
import struct

from . import cold_words
from .mysql import (
    BULK,
    CHANGE_USER,
    CONNECT_ATTRS,
    DEBUG,
    DEPRECATE_EOF,
    EXECUTE,
    FETCH,
    FIELD_LIST,
    FOUND_ROWS,
    IGNORE_SPACE,
    INIT_DB,
    INTERACTIVE,
    LOCAL_FILES,
    LONG_DATA,
    LONG_PASSWORD,
    MARIADB_BULK,
    MARIADB_EXTENDED,
    MULTI_RESULTS,
    MULTI_STATEMENTS,
    PING,
    PLUGIN_AUTH,
    PLUGIN_AUTH_LENENC,
    PREPARE,
    PROCESS_KILL,
    PS_MULTI_RESULTS,
    QUERY,
    RESET_CONNECTION,
    SESSION_TRACK,
    SET_OPTION,
    STATISTICS,
    STMT_CLOSE,
    STMT_RESET,
    TRANSACTIONS,
    Command,
    Killed,
    Login,
    Script,
    Step,
    lenenc,
)

SETUP = [
    "DROP DATABASE IF EXISTS replay",
    "DROP DATABASE IF EXISTS replay2",
    "CREATE DATABASE replay CHARACTER SET utf8mb4",
    "CREATE DATABASE replay2",
    """CREATE TABLE replay.kinds (id INT PRIMARY KEY, tiny TINYINT, utiny TINYINT UNSIGNED, small SMALLINT, big BIGINT, ubig BIGINT UNSIGNED, price DECIMAL(20,4),
       single FLOAT, precise DOUBLE, code CHAR(4), name VARCHAR(100), note TEXT, raw VARBINARY(64), lump BLOB, day DATE, clock TIME(6), moment DATETIME(6),
       instant TIMESTAMP NULL, yr YEAR, color ENUM('red','green'), tags SET('a','b'), bits BIT(12), doc JSON, KEY by_name (name)) ENGINE=InnoDB""",
    r"""INSERT INTO replay.kinds VALUES (1,-128,255,-32768,-9223372036854775808,18446744073709551615,'1234567890123456.7891',1.5,-2.5e-300,'äöü€','Łódź 東京','l1\nl2\0z',
       X'000102FF',X'FFFE','2024-02-29','23:59:59.999999','2022-07-05 11:11:11.123456','2022-07-05 11:11:11',2024,'green','a,b',b'101','{"a": [1, null]}'),
       (2,127,0,32767,9223372036854775807,0,'-0.0001',-0.25,1.7e308,'','','',X'',X'','1970-01-01','-838:59:59','1000-01-01','1970-01-02',1901,'red','',b'0','[]')""",
    "INSERT INTO replay.kinds (id) VALUES (3)",
    "CREATE TABLE replay.big (id INT PRIMARY KEY, pad VARCHAR(200)) ENGINE=InnoDB",
    "INSERT INTO replay.big WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n WHERE id < 900) SELECT id, REPEAT(CHAR(65 + id % 26), id % 200) FROM n",
    "CREATE TABLE replay.work (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(60), n INT, UNIQUE (n)) ENGINE=InnoDB",
    "INSERT INTO replay.work VALUES (1,'one',1),(2,'two',2),(3,'three',3)",
    "CREATE TABLE replay2.kinds (other INT)",
    "CREATE VIEW replay.seen AS SELECT id, name FROM replay.kinds WHERE id < 3",
    "CREATE PROCEDURE replay.two() BEGIN SELECT 1 AS a; SELECT id, pad FROM replay.big WHERE id < 4; END",
    "CREATE PROCEDURE replay.none() BEGIN DO 0; END",
    "CREATE PROCEDURE replay.fails() BEGIN SELECT 'first' AS x; SELECT * FROM replay.absent; END",
    "CREATE PROCEDURE replay.warns() BEGIN SELECT CAST('12x' AS SIGNED); SIGNAL SQLSTATE '01000' SET MESSAGE_TEXT = 'told you'; END",
    "CREATE PROCEDURE replay.outs(IN a INT, OUT b INT, INOUT c VARCHAR(20)) BEGIN SET b = a * 2; SET c = CONCAT(c, '!'); SELECT a, b, c; END",
    "CREATE PROCEDURE replay.many(IN k INT) BEGIN WHILE k > 0 DO SELECT k, REPEAT('m', k * 50); SET k = k - 1; END WHILE; END",
    "CREATE FUNCTION replay.twice(a INT) RETURNS INT DETERMINISTIC RETURN a * 2",
    *cold_words.MYSQL_SETUP,
]
MARIADB_SETUP = [
    "CREATE TABLE replay.versioned (id INT, v INT) WITH SYSTEM VERSIONING",
    "INSERT INTO replay.versioned VALUES (1, 1), (2, 2)",
    "CREATE SEQUENCE replay.numbers",
]

# Our words where they are not ours: in strings, comments, names, and on tables that are the database's.
DECOYS = [
    "SELECT 'x AS OF TIMESTAMP y' AS `as of timestamp`",
    "SELECT 1 /* FROM cold1 AS OF TIMESTAMP '2020-01-01' */",
    "SELECT 1 -- AS OF TSO 5",
    "SELECT id FROM kinds AS `AS` ORDER BY id",
    "SELECT id AS cold1 FROM kinds ORDER BY id",
    "SELECT 'ALTER FILESTORAGE OSS PURGE BEFORE TIMESTAMP'",
    "SELECT * FROM kinds AS OF TIMESTAMP '2020-01-01 00:00:00'",
    "SELECT * FROM kinds AS OF WHERE id = 1",
    "SELECT \"ENGINE='OSS'\" AS x",
    "# SHOW RECYCLEBIN\nSELECT 2",
    "SELECT 1 AS recyclebin",
    "SELECT 'it''s \\' AS OF' AS flashback",
    "SELECT `id` FROM `kinds` AS `OF` WHERE `OF`.`id` = 1",
    "SELECT id FROM kinds ORDER BY id /*!50000 LIMIT 1 */",
    "SELECT 1 AS timestamp, 2 AS tso",
    "SELECT 'SHOW FLASHGATE STATUS'",
]
MARIADB_DECOYS = [
    "SELECT COUNT(*) FROM versioned FOR SYSTEM_TIME ALL",
    "SELECT * FROM versioned FOR SYSTEM_TIME AS OF TIMESTAMP '2100-01-01' ORDER BY id",
    "SELECT * FROM versioned FOR SYSTEM_TIME BETWEEN '2000-01-01' AND '2100-01-01' ORDER BY id",
    "SELECT id FROM versioned FOR SYSTEM_TIME AS OF '2000-01-01 00:00:00'",
    "/*M!100100 SELECT 1 */",
    "SELECT id, v FROM kinds FOR SYSTEM_TIME AS OF NOW()",
]
SOUP = (
    "SELECT FROM WHERE kinds big id name AS OF TIMESTAMP 'x' ( ) , * = 1 ; -- /* */ ` \" ' NULL AND OR UNION ALL JOIN ON BEGIN END SET @a := ? 0x41 é".split()
)

COLLATIONS = [45, 45, 33, 8, 28, 13, 1, 63]


def script(seed, mariadb, user="root", password="", heavy=False, cold=False):
    """`cold`: names of cold tables are drawn as words of hot statements."""
    rnd = random.Random(seed)
    return _Maker(rnd, mariadb, user, password, heavy, cold).make(seed)


class _Maker:
    def __init__(self, rnd, mariadb, user, password, heavy, cold):
        self.rnd, self.mariadb, self.user, self.password, self.heavy, self.cold = rnd, mariadb, user, password, heavy, cold
        self.prepared = []
        # MySQL 9.7 does not end the rows of a statement that it runs without a cursor after it ran with one: it never does both there.
        self.flags = [0, 1] if mariadb else [rnd.randrange(2)]

    def make(self, seed):
        rnd = self.rnd
        login = self._login()
        steps = []
        if rnd.random() < 0.6:
            steps.append(Step([self._query("CREATE TEMPORARY TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50) NOT NULL, n INT, UNIQUE KEY (n))")]))
            steps.append(Step([self._query("INSERT INTO t (name, n) VALUES ('a', 1), ('b', 2), ('c', NULL)")]))
        if rnd.random() < 0.15:
            steps.append(Step([self._query("SET timestamp = 1700000000")]))
        for _ in range(rnd.randrange(2, 14)):
            # A pipeline: nothing in it may ask the client for something, nor end what follows.
            count = 1 if rnd.random() < 0.8 else rnd.randrange(2, 7)
            made = []
            for _ in range(count):
                made += self._command()
                if made[-1].files or made[-1].name == "alone":
                    break
            steps.append(Step(made))
        if rnd.random() < 0.01:
            steps.append(Killed(self._query("SELECT SLEEP(15)")))
            steps.append(Step([Command(bytes([PING]), "ping")]))
        return Script(login, steps, polite=rnd.random() < 0.8, seed=seed, kind="mysql")

    def _login(self):
        rnd = self.rnd
        capabilities = TRANSACTIONS | MULTI_RESULTS | PS_MULTI_RESULTS | PLUGIN_AUTH | LOCAL_FILES
        # Without LONG_PASSWORD a client is one of MariaDB's, whose own capabilities follow.
        mariadb = MARIADB_BULK | rnd.choice([0, MARIADB_EXTENDED]) if self.mariadb and rnd.random() < 0.3 else 0
        capabilities |= 0 if mariadb else LONG_PASSWORD
        for flag, share in (
            (DEPRECATE_EOF, 0.6),
            (SESSION_TRACK, 0.5),
            (MULTI_STATEMENTS, 0.85),
            (FOUND_ROWS, 0.3),
            (CONNECT_ATTRS, 0.6),
            (PLUGIN_AUTH_LENENC, 0.7),
            (IGNORE_SPACE, 0.1),
            (INTERACTIVE, 0.1),
        ):
            capabilities |= flag if rnd.random() < share else 0
        login = Login(self.user, self.password, "replay", capabilities, self._collation(), mariadb=mariadb)
        fate = rnd.random()
        if fate < 0.015:
            login.password = "wrong"
        elif fate < 0.03:
            login.database = "absent"
        elif fate < 0.04:
            login.user = "nobody at all"
        elif fate < 0.08:
            login.database = None
        elif fate < 0.11:
            # The server asks to switch.
            login.plugin = rnd.choice([b"mysql_clear_password", b"caching_sha2_password" if self.mariadb else b"mysql_native_password", b"made_up"])
        return login

    def _collation(self):
        # MariaDB does not know 255, and what it makes of it after a reset differs from time to time.
        return self.rnd.choice(COLLATIONS if self.mariadb else [*COLLATIONS, 255])

    @staticmethod
    def _query(text, name="query", files=()):
        return Command(bytes([QUERY]) + (text.encode() if isinstance(text, str) else text), name, files)

    def _command(self):
        rnd = self.rnd
        kind = rnd.choices(
            [
                "select",
                "decoy",
                "change",
                "transaction",
                "error",
                "multi",
                "call",
                "set",
                "meta",
                "prepare",
                "execute",
                "small",
                "load",
                "soup",
                "bytes",
                "huge",
                "cold_words",
            ],
            [20, 10, 12, 6, 6, 8, 6, 7, 4, 10, 14, 10, 2.5, 3, 3, 0.12 if self.heavy else 0, 50 if self.cold else 0],
        )[0]
        return getattr(self, f"_{kind}")()

    # --- text ---

    def _select(self):
        rnd = self.rnd
        return [
            self._query(
                rnd.choice(
                    [
                        "SELECT 1",
                        "SELECT NULL, '', 'x', 1.5, 1e10, X'00ff', DATE '2020-02-02'",
                        "SELECT * FROM kinds ORDER BY id",
                        "SELECT id FROM kinds WHERE id > 100",
                        f"SELECT * FROM big WHERE id <= {rnd.randrange(900)} ORDER BY id",
                        f"SELECT id, name FROM seen WHERE id = {rnd.randrange(4)}",
                        f"SELECT REPEAT('{rnd.choice('xyz')}', {rnd.choice([250, 251, 252, 65535, 65536, 200000])})",
                        "SELECT twice(id) FROM kinds ORDER BY id",
                        "SELECT * FROM t ORDER BY id",
                        "SELECT COUNT(*), SUM(n), AVG(n) FROM t",
                        "SELECT k.id, b.pad FROM kinds k JOIN big b ON b.id = k.id ORDER BY 1",
                        "SELECT * FROM kinds LIMIT 0",
                        "SELECT CAST('12abc' AS SIGNED), 1/0",
                        "TABLE kinds" if not self.mariadb else "VALUES (1, 2), (3, 4)",
                        "SELECT " + ", ".join(f"{i} AS c{i}" for i in range(rnd.choice([10, 249, 250, 251, 300]))),
                        "SELECT id FROM big ORDER BY id LIMIT 800",
                        "SELECT @@autocommit, @@character_set_client, DATABASE()",
                        "SELECT SQL_CALC_FOUND_ROWS id FROM big LIMIT 2",
                        "SELECT LAST_INSERT_ID(), ROW_COUNT()",
                        "(SELECT 1) UNION ALL (SELECT 2)",
                        "SELECT * FROM kinds WHERE name = 'Łódź 東京' FOR UPDATE",
                    ]
                )
            )
        ]

    def _decoy(self):
        return [self._query(self.rnd.choice(DECOYS + (MARIADB_DECOYS if self.mariadb else [])))]

    def _cold_words(self):
        texts = cold_words.mysql(self.rnd, self.mariadb)
        if self.rnd.random() < 0.2:
            return [self._query("\n; ".join(texts))]
        if self.rnd.random() < 0.3 and all(text.upper().startswith(("SELECT", "WITH")) for text in texts):
            self.prepared += [0] * len(texts)
            return [Command(bytes([PREPARE]) + text.encode(), "prepare") for text in texts]
        return [self._query(text) for text in texts]

    def _change(self):
        n = self.rnd.randrange(50)
        return [
            self._query(
                self.rnd.choice(
                    [
                        f"INSERT INTO t (name, n) VALUES ('r{n}', {n})",
                        f"INSERT INTO t (name, n) VALUES ('r{n}', {n}) ON DUPLICATE KEY UPDATE n = n + 100",
                        f"UPDATE t SET name = 'u{n}' WHERE n < {n}",
                        f"DELETE FROM t WHERE n = {n}",
                        f"REPLACE INTO t VALUES ({n}, 'p', {n})",
                        "INSERT IGNORE INTO t (id, name) VALUES (1, 'again')",
                        "INSERT INTO t (name) SELECT pad FROM big WHERE id < 20",
                        "TRUNCATE TABLE t",
                        "CREATE TEMPORARY TABLE u AS SELECT id, name FROM kinds",
                        "DROP TEMPORARY TABLE IF EXISTS u, nothing",
                        "ALTER TABLE t ADD COLUMN more INT DEFAULT 7",
                        "INSERT INTO t (name) VALUES (REPEAT('too long', 20))",
                        *(["INSERT INTO t (name) VALUES ('ret') RETURNING id, name"] if self.mariadb else []),
                    ]
                )
            )
        ]

    def _transaction(self):
        rnd = self.rnd
        out = [rnd.choice(["BEGIN", "START TRANSACTION READ ONLY", "SET autocommit = 0", "START TRANSACTION WITH CONSISTENT SNAPSHOT"])]
        out += rnd.choices(
            [
                "INSERT INTO work (name, n) VALUES ('w', 77)",
                "UPDATE work SET name = 'changed' WHERE id = 2",
                "DELETE FROM work",
                "SELECT * FROM work ORDER BY id",
                "SAVEPOINT a",
                "ROLLBACK TO a",
                "RELEASE SAVEPOINT a",
                "SELECT id FROM work WHERE id = 1 FOR UPDATE",
            ],
            k=rnd.randrange(1, 4),
        )
        # The auto-increment of `work` never goes back: what shows it is the client's own id, which is given.
        out = [text.replace("(name, n) VALUES ('w'", "(id, name, n) VALUES (9, 'w'") for text in out]
        return [self._query(text) for text in [*out, "ROLLBACK", "SET autocommit = 1"]]

    def _error(self):
        return [
            self._query(
                self.rnd.choice(
                    [
                        "SELECT",
                        "SELEC 1",
                        "SELECT * FROM absent",
                        "SELECT absent FROM kinds",
                        "INSERT INTO kinds (id) VALUES (1)",
                        "SELECT 1 FROM nowhere.nothing",
                        "",
                        " ",
                        ";",
                        "SELECT (SELECT id FROM big)",
                        "SELECT IF(id = 700, (SELECT id FROM big), id) FROM big ORDER BY id",
                        "CALL absent()",
                        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'on purpose', MYSQL_ERRNO = 4711",
                        "INSERT INTO t (name) VALUES (NULL)",
                        "SELECT 'unclosed",
                        "SELECT 1 /* unclosed",
                        "KILL 999999999",
                        "USE absent",
                        "DROP TABLE absent",
                        "SET sql_mode = 'NONSENSE'",
                        "SELECT 1 INTO @a, @b",
                    ]
                )
            )
        ]

    def _multi(self):
        rnd = self.rnd
        parts = []
        for _ in range(rnd.randrange(2, 6)):
            parts.append(rnd.choice([self._select, self._change, self._decoy, self._call, self._error])()[0].payload[1:])
        return [self._query(b";".join(parts) + rnd.choice([b"", b";", b"; "]))]

    def _call(self):
        rnd = self.rnd
        return [
            self._query(
                rnd.choice(
                    [
                        "CALL two()",
                        "CALL none()",
                        "CALL fails()",
                        "CALL warns()",
                        "SET @b = NULL, @c = 'x'; CALL outs(4, @b, @c); SELECT @b, @c",
                        f"CALL many({rnd.randrange(9)})",
                        "CALL outs(1, @q, @r)",
                        "CALL replay.two()",
                        "EXECUTE IMMEDIATE 'SELECT 1'",
                        "PREPARE p FROM 'SELECT ? + 1'",
                        "SET @x = 5",
                        "EXECUTE p USING @x",
                        "DEALLOCATE PREPARE p",
                        "BEGIN NOT ATOMIC SELECT 1; SELECT 2; END",
                        "HANDLER big OPEN",
                        "HANDLER big READ FIRST",
                        "HANDLER big CLOSE",
                    ]
                )
            )
        ]

    def _set(self):
        return [
            self._query(
                self.rnd.choice(
                    [
                        "SET NAMES latin1",
                        "SET NAMES gbk",
                        "SET NAMES utf8mb4",
                        "SET NAMES sjis",
                        "SET NAMES big5",
                        "SET sql_mode = 'ANSI_QUOTES'",
                        "SET sql_mode = ''",
                        "SET sql_mode = 'NO_BACKSLASH_ESCAPES'",
                        "SET time_zone = '+05:30'",
                        "SET time_zone = '+00:00'",
                        "SET @v = 'AS OF'",
                        "USE replay2",
                        "USE replay",
                        "SET session_track_schema = 0",
                        "SET session_track_system_variables = 'autocommit,sql_mode,time_zone'",
                        # MySQL tracks a count of all sessions' statements with it.
                        "SET session_track_system_variables = '*'" if self.mariadb else "SET session_track_system_variables = ''",
                        "SET session_track_state_change = 1",
                        "SET sql_select_limit = 2",
                        "SET session_track_transaction_info = 'CHARACTERISTICS'",
                        "SET sql_select_limit = DEFAULT",
                        "SET character_set_results = NULL",
                        "SET SESSION max_statement_time = 0",
                        "SET SESSION transaction_isolation = 'READ-COMMITTED'",
                        "SET SQL_SAFE_UPDATES = 1",
                    ]
                )
            )
        ]

    def _meta(self):
        return [
            self._query(
                self.rnd.choice(
                    [
                        "SHOW WARNINGS",
                        "SHOW ERRORS",
                        "SHOW TABLES",
                        "SHOW FULL TABLES",
                        "SHOW COLUMNS FROM kinds",
                        "DESCRIBE kinds",
                        "SHOW CREATE TABLE work",
                        "SHOW DATABASES LIKE 'replay%'",
                        "SHOW VARIABLES LIKE 'sql_mode'",
                        "SHOW CREATE VIEW seen",
                        "SHOW INDEX FROM work",
                        "EXPLAIN SELECT 1",
                        "SHOW COLLATION LIKE 'utf8mb4_bin'",
                        "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'replay' ORDER BY 1",
                        "SHOW COUNT(*) WARNINGS",
                        "HELP 'absent thing'",
                        "CHECKSUM TABLE work",
                        "SHOW CREATE PROCEDURE two",
                        "SHOW CREATE TABLE absent",
                    ]
                ).replace("SHOW CREATE TABLE work", "SHOW CREATE TABLE big")
            )
        ]

    def _soup(self):
        return [self._query(" ".join(self.rnd.choices(SOUP, k=self.rnd.randrange(2, 15))))]

    def _bytes(self):
        """Strings of bytes that need not be text: 0xbf5c is one character of GBK, and a quote that follows a backslash in it ends the string."""
        rnd = self.rnd
        inner = rnd.choice(
            [b"\xbf\\", b"\xbf\x27", b"\x95\\", b"\xa5\x5c", b"\xff\xfe", b"\\'", b"\\\\", b"\0", b"\xe2\x82\xac", bytes(rnd.randrange(256) for _ in range(6))]
        )
        return [self._query(b"SELECT '" + inner + rnd.choice([b"'", b"' AS x", b" AS OF TIMESTAMP ' , 1", b""]))]

    def _load(self):
        rnd = self.rnd
        data = rnd.choice(
            [b"", b"100,x,100\n101,y,101\n", b"1,dup,1\n", b"bad,line\n", b"\xff\xfe,,\n", b"".join(b"%d,row %d,%d\n" % (i, i, i) for i in range(1000, 3000))]
        )
        text = rnd.choice(
            [
                "LOAD DATA LOCAL INFILE 'some file' INTO TABLE t FIELDS TERMINATED BY ','",
                "LOAD DATA LOCAL INFILE '/etc/passwd' REPLACE INTO TABLE t FIELDS TERMINATED BY ','",
                "LOAD DATA LOCAL INFILE 'f' INTO TABLE absent",
            ]
        )
        return [self._query(text, files=(data,))]

    def _huge(self):
        """Packets of more than 16 MiB, of either side, and of exactly that."""
        size = self.rnd.choice([(1 << 24) - 1, (1 << 24) + 70000, (1 << 24) - 60, (1 << 24) - 1 - 18])
        return [
            self.rnd.choice(
                [
                    self._query(b"SELECT LENGTH('" + b"h" * size + b"')", "alone"),
                    self._query(f"SELECT REPEAT('r', {size})", "alone"),
                    self._query(b"SELECT 1 /* " + b"c" * size + b" AS OF TIMESTAMP */", "alone"),
                ]
            )
        ]

    # --- prepared ---

    STATEMENTS = [
        ("SELECT * FROM kinds WHERE id >= ? ORDER BY id", 1),
        ("SELECT ?, ?", 2),
        ("SELECT id, pad FROM big WHERE id < ? ORDER BY id", 1),
        ("SELECT 1", 0),
        ("INSERT INTO t (name, n) VALUES (?, ?)", 2),
        ("UPDATE t SET name = ? WHERE id = ?", 2),
        ("CALL outs(?, @b, @c)", 1),
        ("CALL two()", 0),
        ("SELECT absent FROM kinds", 0),
        ("SELEC ?", 0),
        ("SELECT * FROM kinds AS OF TIMESTAMP ?", 0),
        ("SELECT LENGTH(?), 'AS OF TIMESTAMP'", 1),
        ("SET @p = ?", 1),
        ("DO 0", 0),
        ("", 0),
        ("SELECT 1; SELECT 2", 0),
        ("SHOW TABLES", 0),
        ("BEGIN", 0),
        ("ROLLBACK", 0),
        ("DELETE FROM t WHERE n = ?", 1),
    ]

    def _prepare(self):
        text, count = self.rnd.choice(self.STATEMENTS)
        self.prepared.append(count)
        out = [Command(bytes([PREPARE]) + text.encode(), "prepare")]
        if self.mariadb and self.rnd.random() < 0.2:
            # MariaDB's pipelined pair: -1 is the statement that was just prepared.
            parameters = self._parameters(count)
            out.append(Command(bytes([EXECUTE]) + struct.pack("<iBI", -1, 0, 1) + parameters, "execute the last"))
        return out

    def _parameters(self, count):
        rnd = self.rnd
        if not count:
            return b""
        types, values, nulls = b"", b"", bytearray((count + 7) // 8)
        for i in range(count):
            kind = rnd.randrange(6)
            if kind == 0:
                nulls[i // 8] |= 1 << (i % 8)
                types += b"\x06\0"
            elif kind == 1:
                types, values = types + b"\x03\0", values + struct.pack("<i", rnd.choice([0, 1, 2, 3, 500, -1]))
            elif kind == 2:
                types, values = types + b"\x08\0", values + struct.pack("<q", rnd.choice([1, 2, 1 << 40]))
            elif kind == 3:
                types, values = types + b"\x05\0", values + struct.pack("<d", 1.5)
            elif kind == 4:
                types, values = types + b"\x0c\0", values + b"\x07" + struct.pack("<HBBBBB", 2022, 7, 5, 11, 11, 11)
            else:
                types, values = types + b"\xfd\0", values + lenenc(rnd.choice([b"", b"text", b"AS OF TIMESTAMP", "é€".encode(), b"v" * 300]))
        return bytes(nulls) + b"\x01" + types + values

    def _numbered(self, which, head, tail=b""):
        """A command for the `which`-th prepared statement, whose id only the server knows."""

        def payload(session):
            alive = session.statements
            number = alive[which % len(alive)] if alive else None
            return bytes([head]) + struct.pack("<I", 9999 if number is None else number) + tail

        return payload

    def _execute(self):
        rnd = self.rnd
        if not self.prepared:
            return self._prepare()
        which = rnd.randrange(len(self.prepared))
        count = self.prepared[which]
        kind = rnd.random()
        if kind < 0.45 and 0 in self.flags:
            return [Command(self._numbered(which, EXECUTE, struct.pack("<BI", 0, 1) + self._parameters(count)), "execute")]
        if kind < 0.65 and 1 in self.flags:
            out = [Command(self._numbered(which, EXECUTE, struct.pack("<BI", 1, 1) + self._parameters(count)), "execute with a cursor")]
            for _ in range(rnd.randrange(3)):
                out.append(Command(self._numbered(which, FETCH, struct.pack("<I", rnd.choice([0, 1, 2, 100, 5000]))), "fetch"))
            return out
        if kind < 0.78:
            out = [
                Command(self._numbered(which, LONG_DATA, struct.pack("<H", rnd.randrange(2)) + b"long " * rnd.randrange(50)), "long data")
                for _ in range(rnd.randrange(1, 3))
            ]
            return [*out, Command(self._numbered(which, EXECUTE, struct.pack("<BI", self.flags[0], 1) + self._parameters(count)), "execute after long data")]
        if kind < 0.86:
            return [Command(self._numbered(which, STMT_RESET), "reset statement")]
        if kind < 0.94:
            return [Command(self._numbered(which, STMT_CLOSE), "close"), Command(bytes([PING]), "ping")]
        if self.mariadb and kind < 0.97:
            # The server makes of it an error, unless client and statement are fit for bulks: either is an answer.
            rows = b"".join(b"\0" + lenenc(b"bulk%d" % i) for i in range(3))
            return [Command(self._numbered(which, BULK, struct.pack("<H", 128) + b"\xfd\0" + rows), "bulk")]
        # Cut off in its middle.
        return [Command(bytes([EXECUTE]) + b"\x01\0", "execute, cut off")]

    # --- the rest ---

    def _small(self):
        rnd = self.rnd
        kind = rnd.randrange(11)
        if kind == 0:
            return [Command(bytes([PING]), "ping")]
        if kind == 1:
            return [Command(bytes([INIT_DB]) + rnd.choice([b"replay", b"replay2", b"absent", b""]), "init db")]
        if kind == 2:
            return [Command(bytes([FIELD_LIST]) + rnd.choice([b"kinds\0", b"kinds\0n%", b"absent\0", b"big\0%"]), "field list")]
        if kind == 3:
            return [Command(bytes([STATISTICS]), "statistics")]
        if kind == 4:
            return [Command(bytes([SET_OPTION]) + struct.pack("<H", rnd.choice([0, 0, 1, 0, 7])), "set option")]
        if kind == 5:
            self.prepared.clear()
            # What was temporary is gone, and the database stays or goes as the server has it.
            return [Command(bytes([RESET_CONNECTION]), "reset connection"), self._query("USE replay")]
        if kind == 6:
            return [self._change_user()]
        if kind == 7:
            return [Command(bytes([rnd.choice([0, 5, 6, 0x0B, 0x0F, 0x10, 0x14, 0x22, 0x2A, 0x55, 0x80, 0xC0])]) + b"what", "unknown command")]
        if kind == 8:
            return [Command(bytes([PROCESS_KILL]) + struct.pack("<I", 999_999_999), "process kill")]
        if kind == 9:
            return [Command(bytes([DEBUG]), "debug")] if rnd.random() < 0.1 else [Command(bytes([PING]) + b"tail", "ping with a tail")]
        return [self._query("SELECT 1"), Command(bytes([STATISTICS]), "statistics"), self._query("SELECT 2")]

    def _change_user(self):
        self.prepared.clear()
        rnd = self.rnd
        login = Login(self.user, self.password, rnd.choice(["replay", "replay", "replay2", ""]))
        if rnd.random() < 0.1:
            login.password = "wrong"
        collation = self._collation()

        def payload(session):
            answer = login.auth(session.plugin, session.nonce)
            body = (
                bytes([CHANGE_USER])
                + login.user.encode()
                + b"\0"
                + bytes([len(answer)])
                + answer
                + login.database.encode()
                + b"\0"
                + struct.pack("<H", collation)
            )
            if session.capabilities & PLUGIN_AUTH:
                body += session.plugin + b"\0"
            return body + (lenenc(b"") if session.capabilities & CONNECT_ATTRS else b"")

        # What follows it in a pipeline would be taken for an answer to the server's question.
        return Command(payload, "alone", login=login)
