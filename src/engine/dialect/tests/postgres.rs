//! PostgreSQL sessions.

use super::*;

#[tokio::test]
async fn operators_and_casts_follow_the_postgres_manual() {
    check(
        Family::Postgres,
        &[
            ("SELECT 1 + 1, 5 / 2, -5 / 2, 5 % 4, 2 ^ 3, |/ 25.0, @ -5.0", "2|2|-2|1|8|5|5.0"),
            ("SELECT 1 / 0", "ERROR 22012 division by zero"),
            ("SELECT 5.0 / 2, 10 / 4.0", "2.5000000000000000|2.5000000000000000"),
            (
                "SELECT '12'::int + 1, 12::text || 'x', '1.50'::numeric, 1.555::numeric(5,2), 'abc'::varchar(2), 't'::bool",
                "13|12x|1.50|1.56|ab|true",
            ),
            ("SELECT 'abc'::int", "ERROR 22P02 invalid input syntax for type integer: \"abc\""),
            (
                "SELECT '300'::smallint, 2.5::int, 3.5::int, (-2.5)::int, '2022-07-05'::date, '2022-07-05 11:11:11'::timestamp",
                "300|3|4|-3|2022-07-05|2022-07-05 11:11:11",
            ),
            (
                "SELECT '2022-07-05 11:11:11'::timestamptz, '2022-07-05 11:11:11+00'::timestamptz",
                "2022-07-05 11:11:11+08|2022-07-05 19:11:11+08",
            ),
            (
                "SELECT 'abc' LIKE 'A%', 'abc' ILIKE 'A%', 'abc' ~ '^a', 'abc' ~* '^A', 'abc' !~ 'z', 'abc' SIMILAR TO '%(b|d)%'",
                "false|true|true|true|true|true",
            ),
            ("SELECT 'a' || 'b' || 1, NULL || 'x', E'a\\tb', $$x'y$$", "ab1|NULL|a\tb|x'y"),
            ("SELECT 3 = ANY(ARRAY[1, 2, 3]), 4 = ANY('{1,2,3}')", "true|false"),
            ("SELECT COALESCE(NULL, 'x'), NULLIF(1, 1), GREATEST(1, NULL, 3), LEAST(2, 1)", "x|NULL|3|1"),
            (
                "SELECT '{\"a\": {\"b\": [1, \"x\"]}}'::json -> 'a' -> 'b' ->> 1, '{\"a\": 1}'::jsonb @> '{\"a\": 1}', '[1, 2]'::json -> 0",
                "x|true|1",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn tables_are_queried_as_postgres_does() {
    check(Family::Postgres, &[
        ("SELECT id FROM t WHERE id = '2'", "2"),
        ("SELECT \"ID\", Name FROM T WHERE id IN (1, 3) ORDER BY 1", "1|Ann;3|NULL"),
        ("SELECT id FROM t ORDER BY qty", "2;1;3"),
        ("SELECT id FROM t ORDER BY qty DESC", "3;1;2"),
        ("SELECT id FROM t WHERE id = 'x'", "ERROR 22P02 invalid input syntax for type bigint: \"x\""),
        ("SELECT id FROM t WHERE moment >= '2022-07-05 11:11:12'", "2"),
        ("SELECT id FROM t WHERE moment = at", "1;2"),
        ("SELECT id FROM t WHERE day = at::date AND flag", "1"),
        ("SELECT sum(qty), avg(qty), count(*), sum(id), sum(price), avg(price) FROM t", "13|6.5000000000000000|3|6|4.25|2.1250000000000000"),
        ("SELECT string_agg(name, ',' ORDER BY id DESC), array_agg(id ORDER BY id) FROM t", "bob,Ann|[1, 2, 3]"),
        ("SELECT DISTINCT ON (flag) id FROM t ORDER BY flag, id", "2;1;3"),
        ("SELECT count(*) FILTER (WHERE qty > 5), bool_and(flag), every(flag) FROM t", "1|false|false"),
        ("SELECT id FROM t ORDER BY id OFFSET 1 ROWS FETCH FIRST 1 ROWS ONLY", "2"),
        ("SELECT * FROM generate_series(1, 3)", "1;2;3"),
        ("SELECT generate_series(1, 3)", "1;2;3"),
        ("SELECT day + 1, day - 1, day - '2022-07-01'::date, at + interval '1 day', at - interval '1 month', day + interval '1 hour' FROM t WHERE id = 1", "2022-07-06|2022-07-04|4|2022-07-06 11:11:11|2022-06-05 11:11:11|2022-07-05 01:00:00"),
        ("SELECT moment - interval '1 day', now() - '1 hour'::interval FROM t WHERE id = 1", "2022-07-04 11:11:11+08|2022-07-05 10:11:11.5+08"),
        ("SELECT qty / 4, qty * 1.5, price / 2 FROM t WHERE id = 1", "2|15.0|0.7500000000000000"),
        ("SELECT doc -> 'a' ->> 'b' FROM t WHERE id = 1", "[1, \"x\"]"),
        ("SELECT a.id, b.id FROM t a LEFT JOIN t b ON a.id = b.id + 1 ORDER BY a.id", "1|NULL;2|1;3|2"),
        ("SELECT json_agg(id) FROM t", "[1, 2, 3]"),
        ("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3) SELECT x FROM n ORDER BY x", "1;2;3"),
        ("SELECT x.v FROM (VALUES (1, 'a'), (2, 'b')) AS x(k, v) WHERE x.k = 2", "b"),
    ])
    .await;
}

#[tokio::test]
async fn dates_follow_the_postgres_manual() {
    check(Family::Postgres, &[
        ("SELECT now(), current_date, localtimestamp, current_timestamp", "2022-07-05 11:11:11.5+08|2022-07-05|2022-07-05 11:11:11.5|2022-07-05 11:11:11.5+08"),
        ("SELECT extract(year from timestamp '2001-02-16 20:38:40'), extract(dow from date '2001-02-16'), extract(epoch from timestamptz '2001-02-16 20:38:40.12-08'), date_part('hour', timestamp '2001-02-16 20:38:40')", "2001|5|982384720.120000|20"),
        ("SELECT extract(week from date '2001-02-16'), extract(doy from date '2001-02-16'), extract(second from timestamp '2001-02-16 20:38:40.5'), extract(days from interval '3 days')", "7|47|40.500000|3"),
        ("SELECT date_trunc('hour', timestamp '2001-02-16 20:38:40'), date_trunc('year', timestamp '2001-02-16 20:38:40'), date_trunc('day', timestamptz '2001-02-16 20:38:40')", "2001-02-16 20:00:00|2001-01-01 00:00:00|2001-02-16 00:00:00+08"),
        ("SELECT date_trunc('week', timestamp '2022-07-07 10:00:00'), date_trunc('quarter', date '2022-08-07')", "2022-07-04 00:00:00|2022-07-01 00:00:00+08"),
        ("SELECT to_char(timestamp '2022-07-05 15:04:09', 'YYYY-MM-DD HH24:MI:SS'), to_char(125, '999'), to_char(1485, '9,999'), to_char(-0.1, 'FM9.99')", "2022-07-05 15:04:09| 125| 1,485|-.1"),
        ("SELECT to_date('05 Dec 2000', 'DD Mon YYYY'), to_timestamp('05 Dec 2000', 'DD Mon YYYY'), to_timestamp(0), make_date(2013, 7, 15)", "2000-12-05|2000-12-05 00:00:00+08|1970-01-01 08:00:00+08|2013-07-15"),
        ("SELECT timestamp '2001-02-16 20:38:40' AT TIME ZONE 'America/Denver', timestamptz '2001-02-16 20:38:40-05' AT TIME ZONE 'America/Denver'", "2001-02-17 11:38:40+08|2001-02-16 18:38:40"),
        ("SELECT age(timestamp '2001-04-10', timestamp '1957-06-13')", "525 mons 27 days"),
        ("SELECT date '2001-10-01' - date '2001-09-28', date '2001-09-28' + 7, timestamp '2001-09-28 01:00' + interval '23 hours'", "3|2001-10-05|2001-09-29 00:00:00"),
        ("SELECT timestamp '2001-09-29 03:00' - timestamp '2001-07-27 12:00'", "63 days 15 hours"),
        ("SELECT interval '1 day' * 3, 2 * interval '1 month 10 days', interval '1 month' * 1.5, interval '1 hour' / 4", "3 days|2 mons 20 days|1 mons 15 days|15 mins"),
        ("SELECT timestamp '2022-07-05 11:00' - interval '1 day' * 7, interval '15 days 12:00' * 0.5, interval '1 day' / 0", "ERROR 22012 division by zero"),
        ("SELECT timestamp '2022-07-05 11:00' - interval '1 day' * 7, interval '15 days 12:00' * 0.5", "2022-06-28 11:00:00|7 days 18 hours"),
        ("SELECT interval '1 day' / 3, interval '49 mons' / 49, interval '1 day' * 0.1", "8 hours|1 mons|2 hours 24 mins"),
        ("SELECT date '2022-02-30'", "ERROR 22008 date/time field value out of range: \"2022-02-30\""),
    ])
    .await;
}

#[tokio::test]
async fn strings_and_numbers_follow_the_postgres_manual() {
    check(Family::Postgres, &[
        ("SELECT concat('a', NULL, 2), concat_ws(',', 'a', NULL, 'b'), left('abcde', -2), right('abcde', 2), lpad('hi', 5, 'xy'), initcap('hi THOMAS')", "a2|a,b|abc|de|xyxhi|Hi Thomas"),
        ("SELECT split_part('abc~@~def~@~ghi', '~@~', 2), strpos('high', 'ig'), translate('12345', '143', 'ax'), repeat('Pg', 2), reverse('abc'), chr(65), ascii('x')", "def|2|a2x5|PgPg|cba|A|120"),
        ("SELECT position('om' in 'Thomas'), substring('Thomas' from 2 for 3), substring('Thomas' from '...$'), overlay('Txxxxas' placing 'hom' from 2 for 4), trim(both 'xyz' from 'yxTomxx'), trim('  a ')", "3|hom|mas|Thomas|Tom|a"),
        ("SELECT md5('abc'), encode('abc'::bytea, 'hex'), encode('\\x00ff'::bytea, 'base64'), length('jose'), octet_length('jose'), quote_ident('Foo bar'), quote_literal('O''Reilly')", "900150983cd24fb0d6963f7d28e17f72|616263|AP8=|4|4|\"Foo bar\"|'O''Reilly'"),
        ("SELECT regexp_replace('foobarbaz', 'b..', 'X'), regexp_replace('foobarbaz', 'b(..)', 'X\\1Y', 'g'), format('Hello %s, %1$s', 'World')", "fooXbaz|fooXarYXazY|Hello World, World"),
        ("SELECT round(42.4382, 2), round(42.5), round(-42.5), trunc(42.8), trunc(42.4382, 2), ceil(-42.8), floor(-42.8), mod(9, 4), abs(-17.4), sign(-8.4)", "42.44|43|-43|42|42.43|-42|-43|1|17.4|-1"),
        ("SELECT power(9, 3), sqrt(2.25), ln(1), log(100), log(2.0, 64.0), exp(0), pi() > 3", "729|1.5|0|2|6|1|true"),
    ])
    .await;
}
