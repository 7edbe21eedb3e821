"""Shapes of whole queries and of texts, made of the parts that [`queries.Chance`] draws: ALL set operations, joins with USING, what has an order
without ORDER BY, and several statements in one text."""


class Shapes:
    # Types that one column of a set operation may have in its branches.
    TOGETHER = {"mysql": [["int", "decimal"], ["date", "stamp"]], "postgres": [["int", "decimal"], ["date", "stamp"], ["stamp", "instant"], ["date", "instant"]]}

    def ordered(self, text, count):
        """The query with an order by all that it shows, which leaves one answer, sometimes a piece of it."""
        order = ", ".join(f"{n}{self.r.choice(['', ' DESC'])}" for n in range(1, count + 1))
        return f"{text} ORDER BY {order}" + (f" LIMIT {self.r.randint(0, 20)}" if self.r.random() < 0.6 else "")

    def either(self, text, count):
        """(text, whether its order counts)."""
        return (self.ordered(text, count), True) if self.r.random() < 0.4 else (text, False)

    def sets(self):
        """Set operations over few different rows, so that there are many equal ones."""
        kinds = [self.r.choice([["int"], ["text"], ["date"], *self.TOGETHER[self.wire]]) for _ in range(self.r.randint(1, 2))]

        def branch():
            alias = self.alias()
            fields = self.fields(alias)
            shown = []
            for types in kinds:
                ty = self.r.choice(types)
                column = self.column(fields, ty)
                shown.append({"int": f"MOD({column}, 3)", "text": f"RIGHT({column}, 1)"}.get(ty, column))
            where = f" WHERE {self.predicate(fields, 0)}" if self.r.random() < 0.4 else ""
            return f"SELECT {', '.join(f'{one} AS a{i}' for i, one in enumerate(shown))} FROM {self.r.choice(self.TABLES)} AS {alias}{where}"

        operators = ["EXCEPT ALL", "INTERSECT ALL", "UNION ALL", "EXCEPT", "INTERSECT", "UNION"]
        text = branch()
        # MariaDB 10.11 hangs for ever in some with both INTERSECT ALL and EXCEPT ALL.
        for _ in range(1 if self.mysql else self.r.choice([1, 1, 2])):
            text += f" {self.r.choices(operators, [4, 4, 2, 1, 1, 1])[0]} {branch()}"
        return self.either(text, len(kinds))

    def merged(self):
        """SELECT * of a join whose columns of one name are one, and come first."""
        left, right = self.alias(), self.alias()
        shared = self.r.sample(["id", "k", "n", "day"], self.r.choice([1, 1, 2]))
        sides = []
        for side, own in ((left, ["name", "amount"]), (right, ["stamp", "u" if self.mysql else "at"])):
            own = self.r.sample(own, self.r.randint(1, 2))
            names = [*shared, *own]
            self.r.shuffle(names)
            fields = self.fields(f"{side}i")
            where = f" WHERE {self.predicate(fields, 0)}" if self.r.random() < 0.3 else ""
            sides.append((f"(SELECT {', '.join(names)} FROM {self.r.choice(self.TABLES)} AS {side}i{where}) AS {side}", len(own)))
        joins = ["JOIN", "LEFT JOIN", "RIGHT JOIN", *([] if self.mysql else ["FULL JOIN"])]
        how = self.r.choice(joins)
        (one, first), (other, second) = sides
        if self.r.random() < 0.4:
            text = f"SELECT * FROM {one} NATURAL {how} {other}"
        else:
            text = f"SELECT * FROM {one} {how} {other} USING ({', '.join(shared)})"
        return self.either(text, len(shared) + first + second)

    def in_order(self):
        """UNION ALL of what has its order by itself: the branches come as they are written."""
        branches = []
        for number in range(self.r.randint(2, 4)):
            alias = self.alias()
            fields = self.fields(alias)
            table = self.r.choice(self.TABLES)
            if self.r.random() < 0.5:
                where = f" WHERE {self.predicate(fields, 0)}" if self.r.random() < 0.7 else ""
                branches.append(f"SELECT {number} AS a0, COUNT(*) AS a1 FROM {table} AS {alias}{where}")
            else:
                way = self.r.choice(["", " DESC"])
                branches.append(f"(SELECT {alias}.id AS a0, {alias}.n AS a1 FROM {table} AS {alias} ORDER BY 1{way} LIMIT {self.r.randint(1, 4)})")
        return " UNION ALL ".join(branches), True

    def quotients(self):
        """Quotients inside of expressions and aggregates, over one table."""
        alias = self.alias()
        fields = self.fields(alias)
        number, decimal = self.column(fields, "int"), f"{alias}.amount"
        over = self.r.choice(["7", "3", "250000000.0"])
        if self.mysql and not self.mariadb:
            return f"SELECT {decimal} / {over} AS a0, {number} / 7 AS a1 FROM {self.r.choice(self.TABLES)} AS {alias}", False
        inner = self.r.choice([f"{decimal} / {over}", f"{number} / {over}", f"({decimal} + 1) / {over}", f"{number} / 7 * {decimal}"])
        if self.r.random() < 0.5:
            shown = [f"{self.r.choice(['SUM', 'AVG', 'MAX'])}({inner})", f"SUM({number}) / 7 * 3"]
        else:
            shown = [f"{inner} * {self.r.choice(['3', '21600', number])}", f"ROUND({inner}, {self.r.randint(2, 8)})", f"{inner}"]
        return f"SELECT {', '.join(f'{one} AS a{i}' for i, one in enumerate(shown))} FROM {self.r.choice(self.TABLES)} AS {alias}", False

    # --- texts ---

    def plain_select(self):
        """One SELECT, ordered by all that it shows."""
        text, columns = self.select(0)
        return self.ordered(text, len(columns))

    def text(self):
        """Statements of one text, each of whose rows have their order. `w1` is hot and `d1` cold; both have the columns id and n, and are empty before."""
        self.count = 0
        self.changed = self.r.choice(["w1", "d1"])
        made = []
        for _ in range(self.r.randint(1, 3)):
            made += self.one(
                (2, lambda: [self.plain_select()]),
                (3, self.prepared),
                (2, self.prepared_change),
                (2, self.changes),
                (2, self.named_twice),
                (2, self.transaction),
            )
        return "; ".join(made)

    def prepare(self, name, query):
        if not self.mysql:
            return [f"PREPARE {name} AS {query}"]
        quoted = query.replace("\\", "\\\\").replace("'", "''")
        return self.r.choice([[f"PREPARE {name} FROM '{quoted}'"], [f"SET @q = '{quoted}'", f"PREPARE {name} FROM @q"]])

    def deallocate(self, name):
        if self.mysql:
            return [f"DEALLOCATE PREPARE {name}"]
        return [self.r.choice([f"DEALLOCATE {name}", f"DEALLOCATE PREPARE {name}", "DEALLOCATE ALL"])]

    def execute(self, name, *values):
        """With values for its parameters."""
        if not self.mysql:
            return [f"EXECUTE {name}" + (f"({', '.join(values)})" if values else "")]
        sets = [f"SET @p{n} = {value}" for n, value in enumerate(values)]
        return [*sets, f"EXECUTE {name}" + (f" USING {', '.join(f'@p{n}' for n in range(len(values)))}" if values else "")]

    def prepared(self):
        name = self.alias()
        if self.r.random() < 0.5:
            return [*self.prepare(name, self.plain_select()), *self.execute(name), *self.deallocate(name)]
        parameter = "?" if self.mysql else "$1"
        query = f"SELECT {name}t.id, {name}t.n FROM {self.r.choice(self.TABLES)} AS {name}t WHERE {name}t.n > {parameter} ORDER BY 1, 2"
        return [*self.prepare(name, query), *self.execute(name, "3"), *self.execute(name, str(self.r.randint(0, 30))), *self.deallocate(name)]

    def prepared_change(self):
        name, table = self.alias(), self.changed
        parameters = "?, ?" if self.mysql else "$1, $2"
        change = self.prepare(name, f"INSERT INTO {table} VALUES ({parameters})")
        runs = [one for _ in range(self.r.randint(1, 2)) for one in self.execute(name, str(self.r.randint(1, 9)), str(self.r.randint(1, 9)))]
        return [*change, *runs, *self.deallocate(name), f"SELECT * FROM {table} ORDER BY 1, 2"]

    def changes(self):
        table = self.changed
        made = [f"INSERT INTO {table} VALUES ({self.r.randint(1, 9)}, {self.r.randint(1, 9)}), ({self.r.randint(1, 9)}, NULL)"]
        if self.r.random() < 0.5:
            made.append(f"UPDATE {table} SET n = id + 1 WHERE id > {self.r.randint(1, 9)}")
        if self.r.random() < 0.5:
            made.append(f"DELETE FROM {table} WHERE id < {self.r.randint(1, 9)}")
        return [*made, f"SELECT * FROM {table} ORDER BY 1, 2"]

    def named_twice(self):
        """One name for a statement over hot tables, then for one over cold tables, or the other way round."""
        name = self.alias()
        queries = [f"SELECT COUNT(*), MAX({name}t.n) FROM {table} AS {name}t" for table in self.r.sample(self.TABLES, 2)]
        return [one for query in queries for one in [*self.prepare(name, query), *self.execute(name), *self.deallocate(name)]]

    def transaction(self):
        """A transaction with changes of a hot table, and in PostgreSQL a cursor over either."""
        table = "w1"
        made = ["BEGIN", f"INSERT INTO {table} VALUES ({self.r.randint(1, 9)}, 0)"]
        if not self.mysql:
            name = self.alias()
            made += [f"DECLARE {name} CURSOR FOR {self.plain_select()}", f"FETCH {self.r.randint(1, 3)} IN {name}", f"FETCH ALL FROM {name}", f"CLOSE {name}"]
        return [*made, f"SELECT * FROM {table} ORDER BY 1, 2", self.r.choice(["COMMIT", "ROLLBACK"]), f"SELECT * FROM {table} ORDER BY 1, 2"]
