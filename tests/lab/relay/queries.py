"""Queries drawn at random, over the tables t1, t2 (hot) and c1, c2 (cold), all with the same columns, and rows for them."""

COLUMNS = "id INT, k INT, n INT, name {text}, amount DECIMAL(10,2), day DATE, stamp {stamp}"


def table(chance, count):
    """The VALUES of a table of so many rows, with NULLs; `id` and `n` have none."""

    def some(value):
        return "NULL" if chance.random() < 0.12 else value

    def row(number):
        day = f"2022-01-{chance.randint(1, 12):02}"
        numbers = f"{number}, {some(chance.randint(0, 30))}, {chance.randint(0, 30)}"
        name, amount = f"'{chance.choice(Chance.NAMES)}'", chance.randint(0, 3000) / 100
        stamp = f"'{day} {chance.randint(0, 23):02}:30:00'"
        return f"({numbers}, {some(name)}, {some(amount)}, {some(repr(day))}, {some(stamp)})"

    return ", ".join(row(number) for number in range(count))


class Chance:
    """Draws queries that are valid in MySQL and in PostgreSQL alike and have one answer, in any order unless they are ordered by all that they
    show. In it a scope is a list of columns, (expression, type)."""

    TABLES = ["t1", "t2", "c1", "c2"]
    COLUMNS = {"id": "int", "k": "int", "n": "int", "name": "text", "amount": "decimal", "day": "date", "stamp": "stamp"}
    NAMES = ["Ann", "Bob", "Cy", "Łódź", "O''Neil", "ann", "", " Bob"]

    def __init__(self, random, wire):
        self.r, self.wire, self.count = random, wire, 0

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
        }[ty]()

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
        }
        return self.one(
            (6, lambda: column),
            (1, lambda: f"COALESCE({column}, {self.literal(ty)})"),
            (1, lambda: f"CASE WHEN {self.predicate(scope, 0)} THEN {again()} ELSE {self.literal(ty)} END"),
            (1, lambda: f"NULLIF({column}, {self.literal(ty)})"),
            *more.get(ty, []),
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
        ]
        if depth > 0:
            both = lambda w: f"({self.predicate(scope, depth - 1)} {w} {self.predicate(scope, depth - 1)})"  # noqa: E731
            choices += [
                (3, lambda: both("AND")),
                (3, lambda: both("OR")),
                (1, lambda: f"NOT ({self.predicate(scope, depth - 1)})"),
                (2, lambda: self.membership(scope, depth)),
                (2, lambda: self.existence(scope, depth)),
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

    def fields(self, alias):
        return [(f"{alias}.{name}", ty) for name, ty in self.COLUMNS.items()]

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
            ty = self.r.choice(["int", "int", "int", "text", "date"])
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
        shown = []
        for _ in range(self.r.randint(1, 5)):
            ty = self.r.choice(list(self.COLUMNS.values()))
            if self.r.random() < 0.1:
                shown.append((f"({self.scalar(scope, 'int')})", "int"))
            elif self.r.random() < 0.1 and self.column(scope, "int"):
                partition = self.column(scope)
                shown.append((f"{self.r.choice(['SUM', 'COUNT', 'MAX'])}({self.column(scope, 'int')}) OVER (PARTITION BY {partition})", "int"))
            else:
                shown.append((self.value(scope, ty), ty))
        distinct = "DISTINCT " if self.r.random() < 0.2 else ""
        columns = [(f"a{i}", ty) for i, (_, ty) in enumerate(shown)]
        text = f"SELECT {distinct}{', '.join(f'{e} AS a{i}' for i, (e, _) in enumerate(shown))} FROM {source}{where}"
        return text, columns

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
                    (2, lambda: (f"SUM({self.value(scope, 'decimal', 0)})", "decimal")),
                    (1, lambda: (f"MIN({self.value(scope, 'date')})", "date")),
                    (1, lambda: (f"MAX({self.value(scope, 'text')})", "text")),
                    (1, lambda: (f"MAX({self.value(scope, 'int')})", "int")),
                )
            )
        shown = keys + made
        group = f" GROUP BY {', '.join(k for k, _ in keys)}" if keys else ""
        having = f" HAVING COUNT(*) > {self.r.randint(0, 3)}" if keys and self.r.random() < 0.3 else ""
        text = f"SELECT {', '.join(f'{e} AS a{i}' for i, (e, _) in enumerate(shown))} FROM {source}{where}{group}{having}"
        return text, [(f"a{i}", ty) for i, (_, ty) in enumerate(shown)]

    def query(self):
        """(text, whether its order counts)."""
        self.count = 0
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
