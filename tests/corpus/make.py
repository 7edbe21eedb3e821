"""Makes the kept inputs of tests/fuzz_corpus.rs: malformed, truncated, oversized and out-of-order bytes, by target.

    python3 tests/corpus/make.py

The files are kept beside this script. An input that a fuzzer found later is added to its target's folder by hand (name it
after what it broke); this script writes its own files again and touches no others.
"""

import pathlib
import struct

HERE = pathlib.Path(__file__).parent


def le(n, size):
    return n.to_bytes(size, "little")


def lenenc(data):
    assert len(data) < 251
    return bytes([len(data)]) + data


# --- mysql_wire: framed packets, and payloads without their header -------------------------------------------------------


def packet(sequence, payload, length=None):
    return le(len(payload) if length is None else length, 3) + bytes([sequence]) + payload


PROTOCOL_41, CONNECT_WITH_DB, SSL, SECURE, PLUGIN_AUTH, ATTRS, LENENC_AUTH = 0x200, 0x8, 0x800, 0x8000, 0x80000, 0x100000, 0x200000
MODERN = PROTOCOL_41 | CONNECT_WITH_DB | SECURE | PLUGIN_AUTH | ATTRS | LENENC_AUTH


def hello(capabilities, rest):
    return le(capabilities, 4) + le(1 << 24, 4) + b"\x2d" + bytes(23) + rest


def execute(types, values, nulls=b"\0", fresh=1):
    """What read_params takes: the body of COM_STMT_EXECUTE behind its fixed part."""
    return nulls + bytes([fresh]) + b"".join(bytes(pair) for pair in types) + values


MYSQL = {
    "frame-header-cut": b"\x05\0",
    "frame-oversized": packet(0, b"\x03SELECT", 0xFFFFFF),
    "frame-out-of-order": packet(0, b"\x0e") + packet(5, b"\x0e"),
    "frame-empty-packets-past-sequence-255": b"".join(packet(i % 256, b"") for i in range(260)),
    "frame-of-an-http-client": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "hello": hello(MODERN, b"root\0" + lenenc(bytes(20)) + b"shop\0mysql_native_password\0" + lenenc(lenenc(b"_os") + lenenc(b"Linux"))),
    "hello-ssl-request-with-a-tail": hello(MODERN | SSL, b"x"),
    "hello-cut-in-the-user": hello(MODERN, b"ro"),
    "hello-auth-longer-than-the-packet": hello(MODERN, b"root\0\xfe" + b"\xff" * 8 + b"abc"),
    "hello-attributes-longer-than-the-packet": hello(MODERN, b"root\0\0shop\0p\0\xfc\xff\xff\x01a"),
    "hello-not-utf8": hello(MODERN, b"r\xff\xfet\0\0sh\xc0p\0pl\xe9gin\0" + lenenc(lenenc(b"\xff") + lenenc(b"\x80"))),
    "change-user-attributes-cut": b"\x11bob\0\x03abcdb\0\x2d\0mysql_native_password\0\xfd\xff\xff\xff",
    "query-not-utf8": b"\x03SELECT '\xff\xfe\xc0\x80\xed\xa0\x80'",
    "execute-cut": b"\x17\x01\0\0\0\0\x01",
    "execute-without-types": execute([], b"", fresh=0),
    "execute-text-longer-than-the-packet": execute([(0xFD, 0)], b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7fabc"),
    "execute-date-out-of-range": execute([(0x0C, 0)], b"\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    "execute-time-out-of-range": execute([(0x0B, 0)], b"\x0c\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    "execute-decimal-of-200-digits": execute([(0xF6, 0)], lenenc(b"9" * 200)),
    "execute-nine-parameters-cut": execute([(0x08, 0x80)] * 9, b"\xff" * 9, nulls=b"\x01\0"),
    "load-data": b"\"\\,\n" + b'1,"a ""quoted"" one"\n2,\\N\n3,"open',
    "load-data-of-backslashes": b"'\\\\\\" + b"\\" * 40,
    "load-data-prefix-everywhere": b"'!,x" + b"xxyx,xyxy,\n" * 5,
}

# --- postgres_wire: start-up packets, messages, and bodies without their header ---------------------------------------------


def startup(body, length=None):
    return struct.pack(">I", len(body) + 4 if length is None else length) + body


def message(kind, body, length=None):
    return kind + struct.pack(">I", len(body) + 4 if length is None else length) + body


V3 = struct.pack(">I", 196608)
COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)


def numeric(digits, weight, sign, scale, count=None):
    return struct.pack(">hhHh", len(digits) if count is None else count, weight, sign, scale) + b"".join(struct.pack(">h", d) for d in digits)


POSTGRES = {
    "startup": startup(V3 + b"user\0root\0database\0shop\0options\0-c TimeZone=UTC\0\0"),
    "startup-without-end": startup(V3 + b"user\0root"),
    "startup-name-without-value": startup(V3 + b"user\0root\0database\0"),
    "startup-options-of-backslashes": startup(V3 + b"user\0u\0options\0-c \\\\\\ -c= --= -c a=\\\0\0"),
    "startup-oversized": startup(V3, 0x7FFFFFFF),
    "ssl-request-twice": startup(struct.pack(">I", 80877103)) * 2,
    "frame-of-a-tls-client": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(range(32)),
    "frame-length-below-4": message(b"Q", b"SELECT 1\0", 3),
    "frame-oversized": message(b"Q", b"SELECT 1\0", 0x7FFFFFFF),
    "query-not-utf8": message(b"Q", b"SELECT '\xff\xfe\xc0\x80'\0"),
    "execute-before-bind-then-sync": message(b"E", b"p\0\0\0\0\0") + message(b"S", b"") + message(b"C", b"Pp\0"),
    "bind-negative-counts": message(b"B", b"p\0s\0\xff\xff\xff\xff\xff\xff"),
    "bind-value-longer-than-the-message": message(b"B", b"p\0s\0\0\0\0\x01\x7f\xff\xff\xffab"),
    "scram-mechanism-longer-than-the-message": b"SCRAM-SHA-256\0\x7f\xff\xff\xffn,,n=,r=abc",
    "scram-final-bad-base64": b"c=biws,r=abc,p=====",
    "copy-text": b"1\t2022-07-05 11:11:11\n\\N\t\\x4\\101\\\n\\.\nafter",
    "copy-csv-open-quote": b'1,"open\n2,"a""b",',
    "copy-binary": COPY_HEAD + struct.pack(">hiqiq", 2, 8, 1, 8, 0) + b"\xff\xff",
    "copy-binary-extension-longer-than-the-data": COPY_HEAD[:-4] + b"\x7f\xff\xff\xff",
    "copy-binary-field-longer-than-the-data": COPY_HEAD + struct.pack(">hi", 2, 0x7FFFFFFF),
    "numeric-counts-more-digits-than-came": numeric([1], 0, 0, 0, 0x7FFF),
    "numeric-weight-out-of-range": numeric([9999], 0x7FFF, 0x4000, 0x3FFF),
    "array-of-dimensions-that-lie": struct.pack(">iiiii", 3, 0, 23, 0x7FFFFFFF, 1) + struct.pack(">ii", 0x7FFFFFFF, 1),
    "timestamp-text-out-of-range": b"294277-13-45 25:61:61.9999999999+99:99:99 BC",
}

# --- sql_parse: texts --------------------------------------------------------------------------------------------------------

SQL = {
    "empty": b"",
    "flashback": b"SELECT * FROM oss_orders where userId = 100 AS OF TIMESTAMP '2022-07-05 11:11:11'",
    "flashback-two-clauses": b"SELECT * FROM a AS OF TSO 1 x JOIN b FOR SYSTEM_TIME AS OF NOW() - INTERVAL 1 DAY AS OF TIMESTAMP '2022-07-05' USING (id) FOR UPDATE",
    "flashback-clause-cut": b"SELECT * FROM t AS OF TIMESTAMP",
    "flashback-parameter": b"WITH c AS (SELECT * FROM t AS OF TIMESTAMP ?) SELECT $1, ? FROM c AS OF ? UNION SELECT 1 FROM u AS OF TSO $9999999999",
    "not-utf8": b"SELECT '\xff\xfe' FROM t\xc0\x80 AS OF TIMESTAMP '\xed\xa0\x80'",
    "open-string-ends-in-a-backslash": b"SELECT 'a\\",
    "open-dollar-quote": b"SELECT $a$ $b$ $$",
    "open-nested-comments": b"SELECT /* /* /*! 1 */ 2",
    "numbers": b"SELECT 1e999999, 0x, 0b, x'1', b'2', 1.e, .e1, 99999999999999999999999999999999999999999, 1e-, -9223372036854775808",
    "deep-open-parentheses": b"(" * 20000,
    "deep-subqueries": b"SELECT * FROM (" * 500 + b"t" + b")" * 500,
    "many-readings": b"SELECT * FROM " + b"FROM (SELECT * FROM " * 20,
    "deep-not": b"SELECT " + b"NOT " * 5000 + b"1",
    "long-or": b"SELECT 1 FROM t WHERE a = 1" + b" OR a = 1" * 1500,
    "long-union": b"SELECT 1" + b" UNION ALL SELECT 1" * 600,
    "many-statements": b"SELECT 1;" * 400,
    "interval-out-of-range": b"SET flashback_read_time = NOW() - INTERVAL 9223372036854775807 YEAR + INTERVAL '99999999999 99:99' DAY_MINUTE",
    "file-storage": b"CREATE FILESTORAGE OSS IF NOT EXISTS WITH ('ENDPOINT'='x', 'ENDPOINT'='y', '\xff'='', FILE_URI=) ; ALTER FILESTORAGE `o\"s` AS OF TIMESTAMP 'x' PREVIEW FORCE",
    "create-table": b"CREATE TABLE t (a DECIMAL(99999999999,-1) NOT NULL DEFAULT (('x')), b ENUM(), c BIT(0), d VARCHAR(4294967296), PRIMARY KEY (a,,b)) ENGINE='OSS' ENGINE=",
    "load-data": b"LOAD DATA LOCAL INFILE '' INTO TABLE t FIELDS TERMINATED BY '' ENCLOSED BY 'ab' ESCAPED BY '\\' LINES STARTING BY '' IGNORE 18446744073709551616 LINES (a, @b) SET a = @b",
    "copy": b"COPY t (a, FROM STDIN WITH (FORMAT binary, DELIMITER '', NULL, QUOTE 'xx', HEADER maybe)",
    "prepare-of-prepare": b"PREPARE a FROM 'PREPARE b FROM ''PREPARE c AS SELECT ?'''; EXECUTE a USING @x, ; DEALLOCATE",
    "unicode-spaces-and-quotes": "SELECT\u00a01\u2003FROM \u201ct\u201d AS\u200bOF TIMESTAMP \u2018x\u2019 \U0001f687 \u0130 \ufdfa".encode(),
}

# --- orc_tail: files -----------------------------------------------------------------------------------------------------------


def varint(n):
    out = bytearray()
    while True:
        out.append(n & 0x7F | (0x80 if n > 0x7F else 0))
        n >>= 7
        if not n:
            return bytes(out)


def field(number, value):
    """A field of a protobuf message: a number, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


BOOLEAN, BYTE, INT, LONG, STRING, LIST, STRUCT, DECIMAL, TIMESTAMP = 0, 1, 3, 4, 7, 10, 12, 14, 9
NONE, ZLIB, SNAPPY, LZ4, ZSTD = 0, 1, 2, 4, 5


def column_type(kind, *more):
    return field(4, field(1, kind) + b"".join(more))


def root(*children):
    """A struct of columns a, b, .."""
    subtypes = field(2, b"".join(map(varint, children)))
    return column_type(STRUCT, subtypes, *(field(3, bytes([97 + i])) for i in range(len(children))))


def stripe_at(offset, index, data, footer, rows):
    return field(3, field(1, offset) + field(2, index) + field(3, data) + field(4, footer) + field(5, rows))


def postscript(footer_length, compression=NONE, block=65536, metadata=0, magic=b"ORC"):
    body = field(1, footer_length) + field(2, compression) + field(3, block) + field(4, varint(0) + varint(12)) + field(5, metadata) + field(8000, magic)
    return body + bytes([len(body)])


def orc(footer, head=b"ORC", **more):
    return head + footer + postscript(len(footer), **more)


def stream(kind, column, length):
    return field(1, field(1, kind) + field(2, column) + field(3, length))


def one_column(data, rows, kind=INT, streams=None, encoding=0, more=b"", types=None, dictionary=None, zone=b""):
    """A file of one stripe with one column; `data` is its DATA stream unless `streams` says more."""
    streams = [(1, data)] if streams is None else streams
    body = b"".join(content for _, content in streams)
    of_column = field(2, field(1, encoding) + (field(2, dictionary) if dictionary is not None else b""))
    stripe_footer = b"".join(stream(k, 1, len(content)) for k, content in streams) + field(2, field(1, 0)) + of_column + (field(3, zone) if zone else b"")
    footer = (types or root(1) + column_type(kind)) + stripe_at(3, 0, len(body), len(stripe_footer), rows) + field(6, rows) + more
    return orc(footer, b"ORC" + body + stripe_footer)


TAIL = root(1) + column_type(INT) + field(6, 0)
FIXTURES = HERE.parent.parent / "fixtures" / "orc"
INSTANTS, OLD = (FIXTURES / "pyarrow-instants.orc").read_bytes(), (FIXTURES / "pyarrow-v011.orc").read_bytes()
NEW, TIMES, LATIN1 = ((FIXTURES / f"{name}.orc").read_bytes() for name in ("spark-decimal64", "spark-shanghai", "pyarrow-latin1"))
# Seconds from 2015 on whose microseconds are the last of 64 bits, as RLE stores them.
LAST_SECOND = varint(2 * (2**63 // 10**6 - 1_420_070_400))
DATA, PRESENT, LENGTH, DICTIONARY, SECONDARY, ROW_INDEX = 1, 0, 2, 3, 5, 6

ORC = {
    "empty": b"",
    "parquet": b"PAR1" + bytes(60) + b"PAR1",
    "of-another-writer": INSTANTS,
    "of-another-writer-cut-in-the-tail": INSTANTS[:-20],
    "run-lengths-1": OLD,
    "postscript-longer-than-the-file": b"ORC" + TAIL + b"\xff",
    "footer-and-metadata-overflow": b"ORC" + TAIL + postscript(2**64 - 1, metadata=2**64 - 1),
    "block-size-huge": orc(TAIL, compression=ZSTD, block=1 << 62),
    "block-longer-than-the-footer": orc(b"\xfe\xff\xff" + TAIL, compression=ZLIB),
    "block-of-no-zlib": orc(le(len(TAIL) << 1, 3) + TAIL, compression=ZLIB),
    "root-is-its-own-child": orc(root(0) + field(6, 0)),
    "deep-lists": orc(root(1) + b"".join(column_type(LIST, field(2, varint(i))) for i in range(2, 400)) + field(6, 0)),
    "stripe-rows-overflow": orc(root(1) + column_type(INT) + stripe_at(3, 0, 0, 0, 2**64 - 1) * 2 + field(6, 2**64 - 2)),
    "int-run-shorter-than-the-rows": one_column(b"\x61\x01\x02", 5000),
    "int-patched-base-of-nothing": one_column(b"\x8e\x13\x2b\xff", 500, encoding=2),
    "int-deltas-overflow": one_column(b"\xfe\xff" + varint(2**64 - 1) + varint(2**64 - 2) + b"\xff" * 8, 512, kind=LONG, encoding=2),
    "present-shorter-than-the-rows": one_column(None, 4000, streams=[(PRESENT, b"\xff\x01"), (DATA, b"\x61\0\x02")]),
    "text-lengths-longer-than-the-data": one_column(None, 130, kind=STRING, streams=[(DATA, b"abc"), (LENGTH, b"\x7f\0\xff\xff\xff\xff\x7f")]),
    "text-not-utf8": one_column(None, 3, kind=STRING, streams=[(DATA, b"\xff\xfe\x80"), (LENGTH, b"\0\0\x01")]),
    "dictionary-index-beyond-it": one_column(
        None, 3, kind=STRING, encoding=1, dictionary=1, streams=[(DATA, b"\0\0\x63"), (LENGTH, b"\xff\x01"), (DICTIONARY, b"x")]
    ),
    "dictionary-size-that-lies": one_column(None, 3, kind=STRING, encoding=1, dictionary=0xFFFFFFFF, streams=[(DATA, b"\0\0\0"), (LENGTH, b""), (DICTIONARY, b"")]),
    "timestamp-out-of-range": one_column(
        None, 3, kind=TIMESTAMP, streams=[(DATA, b"\0\x7f" + varint(2**64 - 1)), (SECONDARY, b"\0\0" + varint(2**64 - 1))]
    ),
    "decimal-of-too-many-digits": one_column(
        None, 3, streams=[(DATA, b"\xff" * 40 + b"\x7f"), (SECONDARY, b"\0\0" + varint(2**63))], types=root(1) + column_type(DECIMAL, field(5, 38), field(6, 10))
    ),
    "timestamp-overflow-in-a-zone": one_column(
        None, 3, kind=TIMESTAMP, zone=b"Asia/Shanghai", streams=[(DATA, b"\0\0" + LAST_SECOND), (SECONDARY, b"\0\0" + varint(999_999_999 << 3))]
    ),
    "timestamp-in-a-zone-that-is-none": one_column(None, 3, kind=TIMESTAMP, zone=b"GMT+99:99", streams=[(DATA, b"\0\0\0"), (SECONDARY, b"\0\0\0")]),
    "decimal-in-a-dictionary": one_column(
        None, 3, streams=[(DATA, b"\0\0\0"), (SECONDARY, b"\0\0\0")], types=root(1) + column_type(DECIMAL, field(5, 18), field(6, 2)), encoding=3, dictionary=1
    ),
    "decimals-of-version-1-9999": NEW,
    "days-of-the-julian-calendar": TIMES,
    "text-of-latin1": LATIN1,
    "no-mark-in-the-postscript": orc(TAIL, magic=b""),
    "no-mark-at-all": orc(TAIL, head=b"XYZ", magic=b""),
    "row-index-positions-beyond-the-stream": one_column(
        None, 100, streams=[(ROW_INDEX, field(1, field(1, 2**40) + field(1, 2**40)) * 2), (DATA, b"\x61\x01\x02")], more=field(8, 50)
    ),
}

# --- proxy_protocol: headers of load balancers ---------------------------------------------------------------------------

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command, family, body, length=None):
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(body) if length is None else length) + body


FOUR = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack(">HH", 4711, 3306)
PROXY = {
    "v1-tcp4": b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 3306\r\nrest",
    "v1-tcp6": b"PROXY TCP6 2001:db8::7 ::1 4711 3306\r\n\x16\x03\x01",
    "v1-unknown": b"PROXY UNKNOWN ffff::1 x\r\n",
    "v1-without-an-end": b"PROXY TCP4 " + b"1" * 200,
    "v1-no-carriage-return": b"PROXY TCP4 192.0.2.7 198.51.100.1 1 1\n",
    "v1-ports-that-are-none": b"PROXY TCP4 192.0.2.7 198.51.100.1 99999 -1\r\n",
    "v1-not-utf8": b"PROXY TCP4 \xff\xfe 198.51.100.1 1 1\r\n",
    "v2-tcp4": v2(0x21, 0x11, FOUR) + b"rest",
    "v2-tcp6": v2(0x21, 0x21, bytes(36)),
    "v2-unix": v2(0x21, 0x31, bytes(216)),
    "v2-local": v2(0x20, 0, b""),
    "v2-tlvs": v2(0x21, 0x11, FOUR + b"\x03\0\x04abcd\x20\0\xff"),
    "v2-shorter-than-its-addresses": v2(0x21, 0x21, bytes(35)),
    "v2-length-that-lies": v2(0x21, 0x11, FOUR, 0xFFFF),
    "v2-version-3": v2(0x31, 0x11, FOUR),
    "v2-cut": v2(0x21, 0x11, FOUR)[:20],
    "signature-cut": SIGNATURE[:9],
    "no-header": struct.pack(">II", 8, 80877103),
}

TARGETS = {"mysql_wire": MYSQL, "postgres_wire": POSTGRES, "sql_parse": SQL, "orc_tail": ORC, "proxy_protocol": PROXY}
for target, inputs in TARGETS.items():
    folder = HERE / target
    folder.mkdir(exist_ok=True)
    for name, content in inputs.items():
        (folder / name).write_bytes(content)
    print(target, len(inputs), sum(map(len, inputs.values())), "bytes")
