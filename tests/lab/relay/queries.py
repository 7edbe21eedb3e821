"""Queries drawn at random, over the tables t1, t2 (hot) and c1, c2 (cold), all with the same columns, and rows for them."""

from .query_shapes import Shapes

COLUMNS = {
    "mysql": "id INT, k INT, n INT, name {text}, amount DECIMAL(10,2), day DATE, stamp DATETIME(6), u INT UNSIGNED",
    "postgres": "id INT, k INT, n INT, name {text}, amount DECIMAL(10,2), day DATE, stamp TIMESTAMP, at TIMESTAMPTZ",
}


def table(chance, count, wire):
    """The VALUES of a table of so many rows, with NULLs; `id` and `n` have none."""

    def some(value):
        return "NULL" if chance.random() < 0.12 else value

    def row(number):
        day = f"2022-01-{chance.randint(1, 12):02}"
        numbers = f"{number}, {some(chance.randint(0, 30))}, {chance.randint(0, 30)}"
        name, amount = f"'{chance.choice(Chance.NAMES)}'", chance.randint(0, 3000) / 100
        stamp = f"'{day} {chance.randint(0, 23):02}:30:00'"
        # A third of the instants lie around the hour that New York has twice.
        at = f"'2022-{chance.choice(['01-05', '01-06', '11-06'])} {chance.randint(4, 7):02}:30:00+00'"
        last = some(str(chance.randint(0, 30))) if wire == "mysql" else some(at)
        return f"({numbers}, {some(name)}, {some(amount)}, {some(repr(day))}, {some(stamp)}, {last})"

    return ", ".join(row(number) for number in range(count))


class Chance(Shapes):
    """Draws queries that have one answer, in any order unless they are ordered by all that they show: what MySQL and PostgreSQL have in common, and
    some of each one's own. In it a scope is a list of columns, (expression, type)."""

    TABLES = ["t1", "t2", "c1", "c2"]
    NAMES = ["Ann", "Bob", "Cy", "Łódź", "O''Neil", "ann", "", " Bob"]

    def __init__(self, random, wire, mariadb=False):
        self.r, self.wire, self.mariadb, self.count = random, wire, mariadb, 0
        self.columns = {"id": "int", "k": "int", "n": "int", "name": "text", "amount": "decimal", "day": "date", "stamp": "stamp"}
        self.columns |= {"u": "unsigned"} if self.mysql else {"at": "instant"}

    @property
    def mysql(self):
        return self.wire == "mysql"

    def one(self, *weighted):
        """One of the pairs of a weight and a function, called."""
        return self.r.choices([make for _, make in weighted], [weight for weight, _ in weighted])[0]()

    def alias(self):
        self.count += 1
        return f"x{self.count}"

    def literal(self, ty):
        r = self.r
        return {
            "int": lambda: str(r.randint(-2, 30)),
            "decimal": lambda: f"{r.randint(0, 3000) / 100:.2f}",
            "text": lambda: f"'{r.choice(self.NAMES)}'",
            "date": lambda: f"DATE '2022-01-{r.randint(1, 12):02}'",
            "stamp": lambda: f"TIMESTAMP '2022-01-{r.randint(1, 12):02} {r.randint(0, 23):02}:30:00'",
            "unsigned": lambda: str(r.randint(0, 30)),
            "instant": lambda: f"TIMESTAMPTZ '2022-{r.choice(['01-05', '11-06'])} {r.randint(4, 7):02}:30:00+00'",
            "span": lambda: f"INTERVAL '{r.choice(['1 day', '24 hours', '-3 days', '1 day 02:00:00', '90 minutes', '00:00'])}'",
        }[ty]()

    def far(self, ty):
        """A day or a moment that nanoseconds since 1970 do not reach."""
        day = self.r.choice(["1500-03-01", "1000-01-01", "2400-12-31", "9999-12-31"])
        return f"DATE '{day}'" if ty == "date" else f"TIMESTAMP '{day} 10:30:00'"

    def column(self, scope, ty=None):
        fit = [name for name, t in scope if ty in (None, t)]
        return self.r.choice(fit) if fit else None

    def value(self, scope, ty, depth=1):
        """An expression of the type."""
        column = self.column(scope, ty)
        if column is None:
            return self.literal(ty)
        if depth <= 0:
            return column
        again = lambda: self.value(scope, ty, depth - 1)  # noqa: E731
        more = {
            "int": [
                (2, lambda: f"{column} {self.r.choice('+-*')} {self.r.randint(1, 3)}"),
                (1, lambda: f"{column} + {again()}"),
                (1, lambda: self.r.choice(["MOD({}, 7)", "ABS({} - 9)", "{} % 5", "GREATEST({}, 7)", "LEAST({}, 20)"]).format(column)),
                *([(1, lambda: f"CHAR_LENGTH({text})")] if (text := self.column(scope, "text")) else []),
                *([(1, lambda: f"EXTRACT({self.r.choice(['DAY', 'MONTH', 'YEAR'])} FROM {day})")] if (day := self.column(scope, "date")) else []),
            ],
            "text": [
                (1, lambda: f"REPLACE({column}, 'o', '00')"),
                (1, lambda: f"CONCAT({column}, 'z')"),
                (1, lambda: f"SUBSTRING({column}, 1, 2)"),
                (1, lambda: self.r.choice(["LEFT({}, 2)", "RIGHT({}, 2)", "TRIM({})", "LPAD({}, 5, '*')"]).format(column)),
            ],
            "decimal": [
                (1, lambda: f"{column} + 1"),
                (1, lambda: f"{column} * {self.r.choice(['2', '1.5', column])}"),
                (1, lambda: self.r.choice(["ROUND({}, 1)", "CAST({} AS DECIMAL(12,1))", "FLOOR({})", "CEIL({})", "ABS({} - 9)", "-{}"]).format(column)),
                (1, lambda: f"{column} / {self.r.choice(['4', '3', '0.7'])}"),
                *([(1, lambda: f"COALESCE({column}, {number})"), (1, lambda: f"{column} - {number}")] if (number := self.column(scope, "int")) else []),
            ],
            "date": [(1, lambda: f"CAST({stamp} AS DATE)")] if (stamp := self.column(scope, "stamp")) else [],
            "unsigned": [(1, lambda: f"{column} * 2"), (1, lambda: f"{column} + 3"), (1, lambda: f"MOD({column}, 7)")],
        }
        more.setdefault(ty, []).extend(self.mixed(scope, ty, column) + (self.of_mysql if self.mysql else self.of_postgres)(scope, ty, column))
        return self.one(
            (6, lambda: column),
            (1, lambda: f"COALESCE({column}, {self.literal(ty)})"),
            (1, lambda: f"CASE WHEN {self.predicate(scope, 0)} THEN {again()} ELSE {self.literal(ty)} END"),
            (1, lambda: f"NULLIF({column}, {self.literal(ty)})"),
            *more.get(ty, []),
        )

    def mixed(self, scope, ty, column):
        """Expressions of this type whose operands are of several."""
        number, day = self.column(scope, "int"), self.column(scope, "date")
        when = lambda: self.predicate(scope, 0)  # noqa: E731
        either = lambda a, b: self.r.choice([(a, b), (b, a)])  # noqa: E731
        if ty == "decimal":
            made = [
                (1, lambda: "CASE WHEN {} THEN {} ELSE {} END * {}".format(when(), *either(number or "0", column), self.r.choice(["2", "1.5"]))),
                (1, lambda: "CASE WHEN {} THEN {} ELSE {} END + 1".format(when(), *either("0", column))),
                (1, lambda: f"CASE WHEN {when()} THEN {number or 3} WHEN {when()} THEN {column} END - {self.r.choice(['1', '0.5'])}"),
            ]
            # MySQL keeps fewer digits of a quotient than MariaDB, which has a shape of its own for them: a temporary table cuts them there, too.
            return made + ([] if self.mysql else [(1, lambda: f"({column} + 1) / 7 * {self.r.choice(['3', '(10 - 4)', number or '2'])}")])
        if ty == "stamp" and day:
            return [
                (1, lambda: "COALESCE({}, {})".format(*either(day, column))),
                (1, lambda: f"COALESCE({day}, {self.far('stamp')})"),
                (1, lambda: f"COALESCE({column}, {self.far('date')})"),
                (1, lambda: "CASE WHEN {} THEN {} ELSE {} END".format(when(), *either(day, column))),
                (1, lambda: f"CASE WHEN {when()} THEN {self.far('stamp')} ELSE {day} END"),
                (1, lambda: "{}({}, {})".format(self.r.choice(["GREATEST", "LEAST"]), *either(day, column))),
            ]
        return []

    def of_mysql(self, scope, ty, column):
        """Expressions of this type that PostgreSQL does not have."""
        number, day, stamp = self.column(scope, "int"), self.column(scope, "date"), self.column(scope, "stamp")
        if ty == "decimal" and number:
            made = [(1, lambda: f"IFNULL({number}, 0.5) * 2")]
            return made + ([(1, lambda: f"{stamp} + 0")] if stamp else [])
        if ty == "int" and day:
            return [(1, lambda: f"{day} + 0"), (1, lambda: f"IF({self.predicate(scope, 0)}, {column}, 0) + 1")]
        if ty == "stamp":
            return [(1, lambda: f"{column} + INTERVAL {self.r.choice(['1.5 SECOND', '36 HOUR', '1 MONTH', '-2 DAY'])}")]
        return []

    def of_postgres(self, scope, ty, column):
        """Expressions of this type that MySQL does not have."""
        day, stamp, span = self.column(scope, "date"), self.column(scope, "stamp"), self.span
        if ty == "int":
            return [(1, lambda: f"{column} / 2"), *([(1, lambda: f"{day} - DATE '2022-01-01'")] if day else [])]
        if ty == "decimal":
            return [(1, lambda: f"FLOOR({column}) / 2"), *([(1, lambda: f"EXTRACT(EPOCH FROM {span(scope)})")] if stamp else [])]
        if ty == "stamp":
            some = [(1, lambda: f"{column} {self.r.choice('+-')} {self.literal('span')}"), (1, lambda: f"{column} - {self.literal('span')} * 2")]
            return some + ([(1, lambda: f"{day} + {self.literal('span')}")] if day else [])
        if ty == "instant":
            made = [
                (1, lambda: f"{column} + {self.literal('span')}"),
                (1, lambda: f"DATE_TRUNC('{self.r.choice(['hour', 'day'])}', {column})"),
                *((1, lambda other=other: "COALESCE({}, {})".format(*self.r.sample([other, column], 2))) for other in (day, stamp) if other),
                *((1, lambda other=other: f"CASE WHEN {self.predicate(scope, 0)} THEN {other} ELSE {column} END") for other in (day, stamp) if other),
                *((1, lambda other=other: f"GREATEST({column}, {other})") for other in (day, stamp) if other),
            ]
            return made
        return []

    def span(self, scope):
        """An interval of PostgreSQL's."""
        stamp, number = self.column(scope, "stamp"), self.column(scope, "int")
        if stamp is None:
            return self.literal("span")
        return self.one(
            (2, lambda: f"({stamp} - {self.column(scope, 'stamp')})"),
            (2, lambda: f"({stamp} - {self.literal('stamp')})"),
            (1, lambda: f"-({self.literal('span')})"),
            (1, lambda: f"({self.literal('span')} * {number or 2})"),
            (1, lambda: f"({stamp} - {self.literal('stamp')} + {self.literal('span')})"),
            (1, lambda: f"(-{self.literal('span')})"),
        )

    def bits(self, scope):
        """A number of 64 bits without a sign, as MySQL's bit operators give it."""
        number = self.column(scope, "int") or "5"
        operator = lambda: self.r.choice("|&^")  # noqa: E731
        return self.one(
            (2, lambda: f"({number} {operator()} {self.r.randint(-1, 12)})"),
            (1, lambda: f"(({number} - 10) {operator()} 3)"),
            (1, lambda: f"({number} << {self.r.choice([1, 2, 63, 64])})"),
            (1, lambda: f"({self.r.choice(['-1', number])} >> {self.r.choice([1, 3, 60])})"),
            (1, lambda: f"(~{number})"),
            (1, lambda: f"({self.column(scope, 'unsigned') or '7'} {operator()} {number})"),
        )

    def predicate(self, scope, depth=2):
        r = self.r
        ty = r.choice(["int", "int", "int", "text", "decimal", "date", "stamp"])
        v = lambda: self.value(scope, ty, 1)  # noqa: E731
        choices = [
            (6, lambda: f"{v()} {r.choice(['=', '<', '<=', '>', '>=', '<>'])} {self.literal(ty)}"),
            (3, lambda: f"{v()} {r.choice(['=', '<', '>', '<>'])} {v()}"),
            (1, lambda: f"{self.value(scope, 'stamp', 0)} {r.choice(['<', '>=', '<>'])} {self.value(scope, 'date', 0)}"),
            (1, lambda: f"{self.value(scope, 'date', 0)} {r.choice(['<', '>=', '='])} '2022-01-0{r.randint(1, 9)}'"),
            (1, lambda: f"{self.value(scope, 'decimal', 0)} {r.choice(['<', '>=', '<>'])} {self.value(scope, 'int', 0)}"),
            (2, lambda: f"{v()} IS {r.choice(['', 'NOT '])}NULL"),
            (2, lambda: f"{v()} {r.choice(['', 'NOT '])}IN ({', '.join(self.literal(ty) for _ in range(r.randint(1, 4)))})"),
            (1, lambda: f"{v()} {r.choice(['', 'NOT '])}BETWEEN {self.literal(ty)} AND {self.literal(ty)}"),
            (1, lambda: f"{self.value(scope, 'text')} {r.choice(['', 'NOT '])}LIKE '{r.choice(['C%', '%y', '%ob%', 'B_b', '%'])}'"),
            (1, lambda: f"{self.value(scope, 'stamp')} IN ({self.value(scope, 'date', 0)}, {self.literal('stamp')}, {self.far('date')})"),
        ]
        if self.mysql:
            choices += [
                (1, lambda: f"{self.bits(scope)} {r.choice(['<', '>=', '<>'])} {r.randint(-1, 20)}"),
                (1, lambda: f"{self.value(scope, 'unsigned', 0)} {r.choice(['<', '>=', '='])} {self.value(scope, 'int', 0)}"),
                (1, lambda: f"{self.value(scope, 'date', 0)} {r.choice(['<', '>=', '='])} 202201{r.randint(1, 12):02}"),
                (1, lambda: f"{self.value(scope, 'date', 0)} IN (20220102, 20220105, 202201{r.randint(1, 12):02})"),
            ]
        else:
            other = r.choice(["stamp", "date", "instant"])
            choices += [
                (1, lambda: f"{self.span(scope)} {r.choice(['<', '>=', '=', '<>'])} {self.literal('span')}"),
                (1, lambda: f"{self.value(scope, 'instant', 0)} {r.choice(['<', '>=', '='])} {self.value(scope, other, 0)}"),
                (1, lambda: f"{self.value(scope, 'instant', 0)} IN ({self.value(scope, 'stamp', 0)}, {self.value(scope, 'date', 0)}, {self.literal('instant')})"),
            ]
        if depth > 0:
            both = lambda w: f"({self.predicate(scope, depth - 1)} {w} {self.predicate(scope, depth - 1)})"  # noqa: E731
            choices += [
                (3, lambda: both("AND")),
                (3, lambda: both("OR")),
                (1, lambda: f"NOT ({self.predicate(scope, depth - 1)})"),
                (2, lambda: self.membership(scope, depth)),
                (2, lambda: self.existence(scope, depth)),
                (2, lambda: self.of_an_aggregate(scope)),
                (1, lambda: f"{self.value(scope, 'int')} {r.choice(['=', '<', '>='])} ({self.scalar(scope, 'int')})"),
            ]
        return self.one(*choices)

    def membership(self, scope, depth):
        ty = self.r.choice(["int", "int", "text", "date"])
        inner = self.alias()
        table = self.r.choice(self.TABLES)
        fields = self.fields(inner)
        where = f" WHERE {self.predicate(fields, depth - 1)}" if self.r.random() < 0.7 else ""
        if where and self.r.random() < 0.3 and (outer := self.column(scope, "date")):
            where += f" AND {inner}.day = {outer}"
        if self.r.random() < 0.15:
            more = self.r.choice(["int", "text"])
            row, columns = (f"({', '.join(self.value(x, t, 0) for t in (ty, more))})" for x in (scope, fields))
            return f"{row} {self.r.choice(['', 'NOT '])}IN (SELECT {columns[1:-1]} FROM {table} AS {inner}{where})"
        quantified = lambda: f"{self.r.choice(['=', '<', '>=', '<>'])} {self.r.choice(['ANY', 'ALL'])}"  # noqa: E731
        how = self.one((6, lambda: "IN"), (4, lambda: "NOT IN"), (1, quantified))
        value = self.value(scope, ty, 0) if self.r.random() < 0.9 else self.literal(ty)
        return f"{value} {how} (SELECT {self.column(fields, ty)} FROM {table} AS {inner}{where})"

    def existence(self, scope, depth):
        ty = self.r.choice(["int", "int", "text", "date"])
        outer = self.column(scope, ty)
        inner = self.alias()
        fields = self.fields(inner)
        tie = f"{self.column(fields, ty)} = {outer}" if outer else "1 = 1"
        more = f" AND {self.predicate(fields, 0)}" if self.r.random() < 0.6 else ""
        return f"{self.r.choice(['', 'NOT '])}EXISTS (SELECT 1 FROM {self.r.choice(self.TABLES)} AS {inner} WHERE {tie}{more})"

    def scalar(self, scope, ty):
        inner = self.alias()
        fields = self.fields(inner)
        where = f" WHERE {self.predicate(fields, 0)}" if self.r.random() < 0.7 else ""
        if where and self.r.random() < 0.4 and (outer := self.column(scope, "date")):
            where += f" AND {inner}.day = {outer}"
        return f"SELECT {self.r.choice(['MAX', 'MIN', 'COUNT'])}({self.column(fields, ty)}) FROM {self.r.choice(self.TABLES)} AS {inner}{where}"

    def of_an_aggregate(self, scope):
        """A subquery without groups has one row, or none for its HAVING, whatever its WHERE finds."""
        inner, count = self.alias(), self.r.randint(0, 3)
        fields = self.fields(inner)
        outer = self.column(scope, "int")
        tie = f"{self.column(fields, 'int')} = {outer}" if outer else self.predicate(fields, 0)
        source = f"FROM {self.r.choice(self.TABLES)} AS {inner} WHERE {tie}"
        shown = self.r.choice(["COUNT(*)", f"MAX({self.column(fields, 'int')})", f"MIN({self.column(fields, 'text')})"])
        exists = self.r.choice(["EXISTS", "NOT EXISTS"])
        return self.one(
            (2, lambda: f"{exists} (SELECT {shown} {source})"),
            (2, lambda: f"{exists} (SELECT {shown} {source} HAVING COUNT(*) {self.r.choice(['=', '>'])} {count})"),
            (2, lambda: f"{self.r.choice([str(count), outer or '1'])} {self.r.choice(['', 'NOT '])}IN (SELECT COUNT(*) {source})"),
            (1, lambda: f"(SELECT 7 {source} HAVING COUNT(*) = {count}) {self.r.choice(['= 7', 'IS NULL'])}"),
            (1, lambda: f"(SELECT COUNT(*) {source}) {self.r.choice(['=', '>'])} {count}"),
        )

    def fields(self, alias):
        return [(f"{alias}.{name}", ty) for name, ty in self.columns.items()]

    def relation(self, depth):
        """(text, scope) of a table or a derived table."""
        alias = self.alias()
        if depth > 0 and self.r.random() < 0.2:
            text, columns = self.select(depth - 1, named=True)
            return f"({text}) AS {alias}", [(f"{alias}.{name}", ty) for name, ty in columns]
        return f"{self.r.choice(self.TABLES)} AS {alias}", self.fields(alias)

    def source(self, depth):
        text, scope = self.relation(depth)
        for _ in range(self.r.choices([0, 1, 2], [2, 5, 2])[0]):
            more, fields = self.relation(depth)
            joins = {"JOIN": 5, "LEFT JOIN": 3, "RIGHT JOIN": 1, **({"FULL JOIN": 1} if self.wire == "postgres" else {})}
            how = self.r.choices(list(joins), list(joins.values()))[0]
            ty = self.r.choice([ty for ty in ["int", "int", "int", "text", "date"] if self.column(scope, ty) and self.column(fields, ty)] or ["int"])
            left, right = self.column(scope, ty), self.column(fields, ty)
            tie = f"{left} = {right}" if left and right else "1 = 1"
            if how != "FULL JOIN" and self.r.random() < 0.3:
                tie += f" AND {self.predicate(scope + fields, 0)}"
            text = f"{text} {how} {more} ON {tie}"
            scope = scope + fields
        return text, scope

    def select(self, depth=1, named=False):
        """(text, columns shown) of one SELECT."""
        source, scope = self.source(depth)
        where = f" WHERE {self.predicate(scope)}" if self.r.random() < 0.8 else ""
        if self.r.random() < 0.35:
            return self.grouped(source, scope, where)
        shown, windows = [], ""
        for _ in range(self.r.randint(1, 5)):
            ty = self.r.choice(list(self.columns.values()))
            if self.r.random() < 0.1:
                shown.append((f"({self.scalar(scope, 'int')})", "int"))
            elif self.r.random() < 0.15 and self.column(scope, "int"):
                window, windows = self.window(scope, windows)
                shown.append((f"{self.r.choice(['SUM', 'COUNT', 'MAX'])}({self.column(scope, 'int')}) OVER {window}", "int"))
            elif self.r.random() < 0.05:
                shown.append((self.of_an_aggregate(scope), "truth"))
            elif self.r.random() < 0.08:
                shown.append((self.bits(scope), "bits") if self.mysql else (self.span(scope), "span"))
            else:
                shown.append((self.value(scope, ty), ty))
        distinct = "DISTINCT " if self.r.random() < 0.2 else ""
        columns = [(f"a{i}", ty) for i, (_, ty) in enumerate(shown)]
        text = f"SELECT {distinct}{', '.join(f'{e} AS a{i}' for i, (e, _) in enumerate(shown))} FROM {source}{where}{windows}"
        return text, columns

    def window(self, scope, windows):
        """What stands behind OVER, and the WINDOW clause with what that needs."""
        partition, order = self.column(scope), self.column(scope)
        kind = self.r.random()
        if kind < 0.4:
            return f"(PARTITION BY {partition})", windows
        if not windows:
            windows = f" WINDOW w AS (PARTITION BY {partition})"
            if self.r.random() < 0.4:
                windows += f", v AS (w ORDER BY {order})"
        if kind < 0.5:
            return self.r.choice(["w", "v"]) if ", v AS" in windows else "w", windows
        return f"(w ORDER BY {order}{self.r.choice(['', ' DESC'])})", windows

    def grouped(self, source, scope, where):
        keys = [(self.column(scope, ty), ty) for ty in self.r.sample(["int", "text", "date"], self.r.randint(0, 2))]
        keys = [(k, ty) for k, ty in keys if k]
        made = []
        for _ in range(self.r.randint(1, 3)):
            made.append(
                self.one(
                    (3, lambda: ("COUNT(*)", "int")),
                    (1, lambda: (f"COUNT({self.value(scope, 'text')})", "int")),
                    (1, lambda: (f"COUNT(DISTINCT {self.value(scope, 'int')})", "int")),
                    (1, lambda: (f"AVG({self.value(scope, self.r.choice(['int', 'decimal']), 0)})", "decimal")),
                    (1, lambda: (f"SUM({self.value(scope, 'int', 0)})", "decimal")),
                    (1, lambda: (f"SUM(CASE WHEN {self.predicate(scope, 0)} THEN {self.r.choice(['1', '0', '0.5'])} ELSE {self.value(scope, 'decimal', 0)} END)", "decimal")),
                    (1, lambda: (f"MAX({self.value(scope, 'stamp')})", "stamp")),
                    (1, lambda: self.aggregate_of_its_own(scope)),
                    (2, lambda: (f"SUM({self.value(scope, 'decimal', 0)})", "decimal")),
                    (1, lambda: (f"MIN({self.value(scope, 'date')})", "date")),
                    (1, lambda: (f"MAX({self.value(scope, 'text')})", "text")),
                    (1, lambda: (f"MAX({self.value(scope, 'int')})", "int")),
                )
            )
        shown = keys + made
        group = f" GROUP BY {', '.join(k for k, _ in keys)}" if keys else ""
        having = f" HAVING COUNT(*) {self.r.choice(['>', '>', '='])} {self.r.randint(0, 3)}" if self.r.random() < (0.3 if keys else 0.1) else ""
        text = f"SELECT {', '.join(f'{e} AS a{i}' for i, (e, _) in enumerate(shown))} FROM {source}{where}{group}{having}"
        return text, [(f"a{i}", ty) for i, (_, ty) in enumerate(shown)]

    def aggregate_of_its_own(self, scope):
        if self.mysql:
            number = self.column(scope, "int") or "5"
            return self.one(
                (1, lambda: (f"{self.r.choice(['BIT_AND', 'BIT_OR', 'BIT_XOR'])}({number})", "bits")),
                (1, lambda: (f"MAX({self.column(scope, 'unsigned') or number})", "unsigned")),
            )
        return self.one(
            (1, lambda: (f"{self.r.choice(['SUM', 'MIN', 'MAX'])}({self.span(scope)})", "span")),
            (1, lambda: (f"MIN({self.value(scope, 'instant')})", "instant")),
        )

    def query(self):
        """(text, whether its order counts)."""
        self.count = 0
        shape = self.r.choices([None, self.sets, self.merged, self.in_order, self.quotients], [76, 9, 6, 5, 4])[0]
        if shape:
            return shape()
        text, columns = self.select()
        if self.r.random() < 0.1:
            name = self.alias()
            text = f"WITH {name} AS ({text}) SELECT * FROM {name} UNION ALL SELECT * FROM {name}"
        elif self.r.random() < 0.1:
            for _ in range(50):
                other, more = self.select(0)
                if [t for _, t in more] == [t for _, t in columns]:
                    text = f"{text} {self.r.choice(['UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT'])} {other}"
                    break
        if self.r.random() < 0.4:
            order = ", ".join(f"{n}{self.r.choice(['', ' DESC'])}" for n in range(1, len(columns) + 1))
            text += f" ORDER BY {order}"
            if self.r.random() < 0.6:
                text += f" LIMIT {self.r.randint(0, 20)}"
                if self.r.random() < 0.3:
                    text += f" OFFSET {self.r.randint(0, 5)}"
            return text, True
        return text, False
