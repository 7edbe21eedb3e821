"""Django through Flashgate in front of a database: python relayed_django.py mysql|postgresql HOST PORT MARK.
MARK begins the names of its tables. Ends with "ok", or raises."""

import sys

import django
from django.conf import settings
from django.db import DatabaseError, connection, models, transaction

engine, host, port, mark = sys.argv[1:]
settings.configure(
    DATABASES={"default": {"ENGINE": f"django.db.backends.{engine}", "NAME": "hot", "USER": "root", "HOST": host, "PORT": port}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()


class Hot(models.Model):
    name = models.CharField(max_length=50)
    placed = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label, db_table = "lab", f"{mark}_h"


class Cold(models.Model):
    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=50)
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
    day = models.DateField(null=True)

    class Meta:
        app_label, db_table, managed = "lab", f"{mark}_c", False


def sql(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else cursor.rowcount


def refused(work, word):
    try:
        # A savepoint of Django's own: the transaction around it goes on.
        with transaction.atomic():
            work()
    except DatabaseError as error:
        assert word in str(error), error
    else:
        raise AssertionError(f"nothing was said of {word}")


with connection.schema_editor() as editor:
    editor.create_model(Hot)
kind = "WITH (engine='OSS')" if engine == "postgresql" else "ENGINE='OSS'"
sql(f"CREATE TABLE {mark}_c (id BIGINT NOT NULL, name VARCHAR(50) NOT NULL, price DECIMAL(8,2), day DATE, PRIMARY KEY (id)) {kind}")

# What Django writes by itself goes through both: INSERT, UPDATE, DELETE, counts, aggregates, filters, slices.
for n in range(1, 6):
    Cold.objects.create(id=n, name=f"c{n}", price="1.50", day="2022-07-05")
hots = [Hot.objects.create(name=f"h{n}") for n in range(1, 4)]
assert len({one.pk for one in hots}) == 3 and hots[0].pk is not None
((moment,),) = sql("SELECT CAST(LOCALTIMESTAMP AS TEXT)" if engine == "postgresql" else "SELECT CAST(NOW(6) AS CHAR)")
assert Cold.objects.filter(id__gt=3).update(name="new") == 2
assert sql(f"DELETE FROM {mark}_c WHERE id = %s", 5) == 1
# Django opens a transaction by itself for these, which a change of a cold table cannot be part of.
refused(lambda: Cold.objects.bulk_create([Cold(id=7, name="x")]), "transaction")
refused(lambda: Cold.objects.filter(id__gt=1).delete(), "transaction")
for _ in range(2):
    assert list(Cold.objects.order_by("id").values_list("name", flat=True)) == ["c1", "c2", "c3", "new"]
    assert list(Hot.objects.order_by("id").values_list("name", flat=True)) == ["h1", "h2", "h3"]
    total = Cold.objects.aggregate(total=models.Sum("price"), n=models.Count("*"), last=models.Max("day"))
    assert (str(total["total"]), total["n"], str(total["last"])) == ("6.00", 4, "2022-07-05"), total
    assert Cold.objects.filter(name__startswith="c", day__year=2022).exists() and not Cold.objects.filter(name__contains="zzz").exists()
    assert [one.id for one in Cold.objects.filter(name__in=["c1", "new"]).order_by("-id")[:2]] == [4, 1]
    assert [one.id for one in Cold.objects.filter(models.Q(id=1) | models.Q(name__iexact="NEW")).order_by("id")] == [1, 4]
    assert {one["name"]: one["n"] for one in Cold.objects.values("name").annotate(n=models.Count("id"))} == {
        "c1": 1,
        "c2": 1,
        "c3": 1,
        "new": 1,
    }
    assert [one.id for one in Cold.objects.raw(f"SELECT * FROM {mark}_c AS OF TIMESTAMP %s ORDER BY id", [moment])] == [1, 2, 3, 4, 5]
    assert len(list(Cold.objects.order_by("id").iterator(chunk_size=2))) == 4

# Both in one transaction, with errors, and back.
try:
    with transaction.atomic():
        Hot.objects.create(name="gone")
        assert Cold.objects.get(id=1).name == "c1" and Hot.objects.count() == 4
        refused(lambda: sql(f"SELECT absent FROM {mark}_c"), "absent")
        refused(lambda: sql(f"SELECT absent FROM {mark}_h"), "absent")
        refused(lambda: Cold.objects.filter(id=1).delete(), "transaction")
        refused(lambda: Cold.objects.create(id=9, name="x"), "transaction")
        assert Cold.objects.count() == 4 and Hot.objects.count() == 4
        raise KeyError
except KeyError:
    pass
assert Hot.objects.count() == 3 and Cold.objects.count() == 4

# Reflection sees the hot table as it is. Cold ones have no stand-ins in the catalogs that Django reads.
with connection.cursor() as cursor:
    tables = [one.name for one in connection.introspection.get_table_list(cursor)]
    assert f"{mark}_h" in tables and f"{mark}_c" not in tables, tables
    assert [one.name for one in connection.introspection.get_table_description(cursor, f"{mark}_h")] == ["id", "name", "placed"]
with connection.schema_editor() as editor:
    editor.delete_model(Hot)
print("ok")
