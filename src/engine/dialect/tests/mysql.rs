//! MySQL sessions.

use super::*;

#[tokio::test]
async fn operators_and_casts_follow_the_mysql_manual() {
    check(
        Family::MySql,
        &[
            ("SELECT 1 + 1, 7 - 10, 3 * 4", "2|-3|12"),
            ("SELECT 10 / 4, 1 / 3, 5 DIV 2, 5 % 3, MOD(10, 4), -7 % 3", "2.5000|0.3333|2|2|2|-1"),
            ("SELECT 1 / 0, 1 DIV 0, 1 % 0", "NULL|NULL|NULL"),
            ("SELECT 1.5 * 2, 0.1 + 0.2", "3.0|0.3"),
            ("SELECT '3' + 4, '3abc' * 2", "7|6"),
            ("SELECT 1 || 0, 0 || 0, 1 && 0, NOT 0, NOT 1, 1 XOR 1", "1|0|0|1|0|0"),
            ("SELECT NULL <=> NULL, 1 <=> NULL", "1|0"),
            ("SELECT 'abc' LIKE 'A%', 'abc' NOT LIKE 'a_', 'abc' REGEXP '^A', 'abc' RLIKE 'z'", "1|1|1|0"),
            ("SELECT 5 BETWEEN 1 AND 10, 3 IN (1, 2, 3), '3' IN (1, 2, 3)", "1|1|1"),
            ("SELECT CAST('3.7' AS SIGNED), CAST('-1e2' AS SIGNED), CAST(' x' AS SIGNED), CAST(3.7 AS SIGNED)", "3|-1|0|4"),
            ("SELECT CAST('12abc' AS SIGNED), CAST(-1 AS UNSIGNED), CAST(1.5 AS SIGNED)", "12|18446744073709551615|2"),
            (
                "SELECT CAST('2022-7-5 1:2:3' AS DATETIME), CAST('2022-07-05 11:11:11' AS DATE), CAST('x' AS DATE)",
                "2022-07-05 01:02:03|2022-07-05|NULL",
            ),
            ("SELECT CAST('1.255' AS DECIMAL(10,2)), CAST(123 AS CHAR), CAST('abc' AS CHAR(2)), CONVERT('12', SIGNED)", "1.26|123|ab|12"),
            (
                "SELECT IF(1 > 2, 'a', 'b'), IF(3, 'y', 'n'), IFNULL(NULL, 5), ISNULL(NULL), NULLIF(1, 1), COALESCE(NULL, NULL, 3)",
                "b|y|5|1|NULL|3",
            ),
            ("SELECT CASE WHEN 1 THEN 'x' ELSE 'y' END, CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' END", "x|b"),
            ("SELECT _utf8mb4'abc', 'abc' COLLATE utf8mb4_bin, N'x'", "abc|abc|x"),
            ("SELECT b'101' + 0, 1e2", "5|100"),
            ("SELECT 2 FROM DUAL", "2"),
            ("SELECT 9223372036854775807 + 1", "ERROR 22003 BIGINT value is out of range in '9223372036854775807 + 1'"),
        ],
    )
    .await;
}

#[tokio::test]
async fn tables_are_queried_as_mysql_does() {
    check(
        Family::MySql,
        &[
            ("SELECT id FROM t WHERE id = '2'", "2"),
            ("SELECT ID, `Name` FROM T WHERE Id IN ('1', '3') ORDER BY 1", "1|Ann;3|NULL"),
            ("SELECT id FROM t ORDER BY qty", "3;2;1"),
            ("SELECT id FROM t ORDER BY qty DESC", "1;2;3"),
            ("SELECT id FROM t LIMIT 1, 1", "2"),
            ("SELECT id FROM t WHERE at >= '2022-7-6'", "2"),
            ("SELECT id FROM t WHERE day = '2022-07-05'", "1"),
            ("SELECT id FROM t WHERE day >= '2022-07-05 12:00:00'", "2"),
            ("SELECT id FROM t WHERE day = 20220706", "2"),
            ("SELECT id FROM t WHERE moment = '2022-07-05 11:11:11'", "1"),
            ("SELECT id FROM t WHERE at BETWEEN '2022-07-05' AND '2022-07-06'", "1"),
            ("SELECT id FROM t WHERE flag", "1"),
            ("SELECT id FROM t WHERE flag = 1", "1"),
            ("SELECT id FROM t WHERE qty AND id < 2", "1"),
            (
                "SELECT sum(qty), avg(qty), count(*), count(qty), max(name), sum(price), avg(price) FROM t",
                "13|6.5000|3|2|bob|4.25|2.125000",
            ),
            ("SELECT SUM(qty > 5), SUM(flag) FROM t", "1|1"),
            ("SELECT GROUP_CONCAT(name ORDER BY id DESC SEPARATOR '-') FROM t", "bob-Ann"),
            ("SELECT GROUP_CONCAT(DISTINCT qty ORDER BY qty) FROM t", "10,3"),
            ("SELECT COUNT(DISTINCT id, qty) FROM t", "2"),
            ("SELECT qty > 5 AS big, COUNT(*) c FROM t GROUP BY big HAVING c > 0 ORDER BY big", "NULL|1;0|1;1|1"),
            ("SELECT id, id, id + 1, id + 1 FROM t WHERE id = 1", "1|1|2|2"),
            ("SELECT *, id FROM t WHERE id = 3", "3|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|3"),
            ("SELECT a.id, b.id FROM t a STRAIGHT_JOIN t b ON a.id = b.id + 1 ORDER BY 1", "2|1;3|2"),
            ("SELECT a.id FROM t a JOIN t b USING (ID) ORDER BY 1 LIMIT 1", "1"),
            ("SELECT id FROM t WHERE (id, qty) = (1, 10)", "1"),
            ("SELECT id FROM t WHERE (id, qty) IN ((1, 10), (2, 4))", "1"),
            (
                "SELECT at + INTERVAL 1 DAY, day + INTERVAL 1 MONTH, day - INTERVAL 1 HOUR FROM t WHERE id = 1",
                "2022-07-06 11:11:11|2022-08-05|2022-07-04 23:00:00",
            ),
            ("SELECT doc->'$.a.b[0]', doc->>'$.a.b[1]', JSON_EXTRACT(doc, '$.a') FROM t WHERE id = 1", "1|x|{\"b\": [1, \"x\"]}"),
            ("SELECT id FROM t WHERE name LIKE 'AN%'", "1"),
            ("SELECT JSON_ARRAYAGG(id) FROM t", "[1, 2, 3]"),
            ("SELECT STD(qty), VARIANCE(qty), BIT_OR(qty) FROM t", "3.5|12.25|11"),
            ("SELECT id FROM t ORDER BY NULL LIMIT 1", "1"),
            ("SELECT DISTINCT flag FROM t WHERE flag IS NOT NULL ORDER BY flag", "0;1"),
            ("SELECT row_number() OVER (ORDER BY id DESC), sum(qty) OVER (ORDER BY id) FROM t ORDER BY id", "3|10;2|13;1|13"),
            ("SELECT id FROM t UNION SELECT 9 ORDER BY 1", "1;2;3;9"),
            ("SELECT GROUP_CONCAT(id) FROM t", "1,2,3"),
            ("SELECT EXISTS(SELECT 1 FROM t WHERE id = 2), NOT EXISTS(SELECT * FROM t LIMIT 1)", "1|0"),
            ("SELECT id, EXISTS(SELECT 1 FROM t u WHERE u.id = t.id + 1) FROM t ORDER BY id", "1|1;2|1;3|0"),
        ],
    )
    .await;
}

#[tokio::test]
async fn dates_follow_the_mysql_manual() {
    check(Family::MySql, &[
        ("SELECT NOW(), NOW(3), CURRENT_TIMESTAMP, CURDATE(), CURRENT_DATE(), CURTIME(), UTC_TIMESTAMP()", "2022-07-05 11:11:11|2022-07-05 11:11:11.5|2022-07-05 11:11:11|2022-07-05|2022-07-05|11:11:11|2022-07-05 03:11:11"),
        ("SELECT UNIX_TIMESTAMP(), UNIX_TIMESTAMP('2022-07-05 11:11:11'), FROM_UNIXTIME(0), FROM_UNIXTIME(0, '%Y')", "1656990671|1656990671|1970-01-01 08:00:00|1970"),
        ("SELECT DATE_FORMAT('2009-10-04 22:23:00', '%W %M %Y'), DATE_FORMAT('2007-10-04 22:23:00', '%H:%i:%s')", "Sunday October 2009|22:23:00"),
        ("SELECT STR_TO_DATE('01,5,2013', '%d,%m,%Y'), STR_TO_DATE('2013-05-01 10:11', '%Y-%m-%d %H:%i'), STR_TO_DATE('x', '%Y')", "2013-05-01|2013-05-01 10:11:00|NULL"),
        ("SELECT DATE_ADD('2018-05-01', INTERVAL 1 DAY), DATE_SUB('2018-05-01', INTERVAL 1 YEAR), DATE_ADD('2020-12-31 23:59:59', INTERVAL 1 SECOND)", "2018-05-02|2017-05-01|2021-01-01 00:00:00"),
        ("SELECT '2018-12-31' + INTERVAL 1 MONTH, ADDDATE('2008-01-02', 31), SUBDATE(CAST('2008-01-02' AS DATE), INTERVAL 31 DAY)", "2019-01-31|2008-02-02|2007-12-02"),
        ("SELECT DATEDIFF('2007-12-31 23:59:59', '2007-12-30'), TIMESTAMPDIFF(MONTH, '2003-02-01', '2003-05-01'), TIMESTAMPDIFF(YEAR, '2002-05-01', '2001-01-01')", "1|3|-1"),
        ("SELECT TIMESTAMPADD(MINUTE, 1, '2003-01-02'), TIMEDIFF('2000-01-01 00:00:00', '2000-01-01 00:00:00.000001')", "2003-01-02 00:01:00|-00:00:00.000001"),
        ("SELECT YEAR('2022-07-05'), MONTH('2022-07-05'), DAY('2022-07-05'), HOUR('10:05:03'), MINUTE('2008-02-03 10:05:03'), SECOND('10:05:03'), MICROSECOND('12:00:00.123456')", "2022|7|5|10|5|3|123456"),
        ("SELECT DAYOFWEEK('2007-02-03'), WEEKDAY('2008-02-03 22:23:00'), DAYOFYEAR('2007-02-03'), QUARTER('2008-04-01')", "7|6|34|2"),
        ("SELECT WEEK('2008-02-20'), WEEK('2008-02-20', 0), WEEK('2008-02-20', 1), WEEK('2008-12-31', 1), WEEKOFYEAR('2008-02-20'), YEARWEEK('1987-01-01'), WEEK('2000-01-01', 2)", "7|7|8|53|8|198652|52"),
        ("SELECT LAST_DAY('2003-02-05'), MONTHNAME('2008-02-03'), DAYNAME('2007-02-03'), TO_DAYS('2007-10-07'), FROM_DAYS(730669)", "2003-02-28|February|Saturday|733321|2000-07-03"),
        ("SELECT EXTRACT(YEAR FROM '2019-07-02'), EXTRACT(DAY FROM NOW()), DATE('2003-12-31 01:02:03'), TIME('2003-12-31 01:02:03')", "2019|5|2003-12-31|01:02:03"),
        ("SELECT CONVERT_TZ('2004-01-01 12:00:00', '+00:00', '+10:00'), SEC_TO_TIME(2378), TIME_TO_SEC('22:23:00'), MAKEDATE(2011, 31)", "2004-01-01 22:00:00|00:39:38|80580|2011-01-31"),
        ("SELECT NOW() - INTERVAL 1 HOUR, DATE '2022-07-05', TIMESTAMP '2022-07-05 11:11:11'", "2022-07-05 10:11:11|2022-07-05|2022-07-05 11:11:11"),
        ("SELECT YEAR(day), HOUR(at), DATE(moment), DATE_FORMAT(moment, '%H:%i') FROM t WHERE id = 1", "2022|11|2022-07-05|11:11"),
        ("SELECT DATE_ADD('1992-12-31 23:59:59.000002', INTERVAL '1.999999' SECOND)", "1993-01-01 00:00:01.000001"),
    ])
    .await;
}

#[tokio::test]
async fn strings_follow_the_mysql_manual() {
    check(Family::MySql, &[
        ("SELECT CONCAT('My', 'S', 'QL'), CONCAT('My', NULL), CONCAT(14.3, 1), CONCAT_WS(',', 'a', NULL, 'b')", "MySQL|NULL|14.31|a,b"),
        ("SELECT SUBSTRING('Quadratically', 5), SUBSTRING('foobarbar' FROM 4), SUBSTRING('Quadratically', 5, 6), SUBSTRING('Sakila', -3), SUBSTR('Sakila', -5, 3), MID('abc', 2, 1)", "ratically|barbar|ratica|ila|aki|b"),
        ("SELECT LEFT('foobarbar', 5), RIGHT('foobarbar', 4), LOCATE('bar', 'foobarbar'), LOCATE('bar', 'foobarbar', 5), INSTR('foobarbar', 'bar'), POSITION('b' IN 'abc')", "fooba|rbar|4|7|4|2"),
        ("SELECT LPAD('hi', 4, '??'), LPAD('hi', 1, '??'), RPAD('hi', 5, '?'), REPEAT('ab', 3), REVERSE('abc'), REPLACE('www.mysql.com', 'w', 'Ww')", "??hi|h|hi???|ababab|cba|WwWwWw.mysql.com"),
        ("SELECT LENGTH('äb'), CHAR_LENGTH('äb'), UPPER('a'), LCASE('A'), TRIM('  bar   '), TRIM(LEADING 'x' FROM 'xxxbarxxx'), TRIM(TRAILING 'xyz' FROM 'barxxyz')", "3|2|A|a|bar|barxxx|barx"),
        ("SELECT ASCII('2'), ORD('2'), HEX('abc'), HEX(255), BIN(12), OCT(12), CONV('a', 16, 2), CONV(-17, 10, -18)", "50|50|616263|FF|1100|14|1010|-H"),
        ("SELECT FIELD('Bb', 'Aa', 'Bb', 'Cc'), ELT(1, 'Aa', 'Bb'), FIND_IN_SET('b', 'a,b,c,d'), SUBSTRING_INDEX('www.mysql.com', '.', 2), SUBSTRING_INDEX('www.mysql.com', '.', -2)", "2|Aa|2|www.mysql|mysql.com"),
        ("SELECT INSERT('Quadratic', 3, 4, 'What'), SPACE(3), STRCMP('text', 'text2'), FORMAT(12332.123456, 4), FORMAT(12332.2, 0), QUOTE('Don\\'t!')", "QuWhattic|   |-1|12,332.1235|12,332|'Don\\'t!'"),
        ("SELECT MD5('testing'), SHA1('abc'), SHA2('abc', 224), CRC32('MySQL'), TO_BASE64('abc'), FROM_BASE64('YWJj')", "ae2b1fca515949e5d54fb22b8ed95575|a9993e364706816aba3e25717850c26c9cd0d89d|23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7|3259397556|YWJj|616263"),
        ("SELECT REGEXP_REPLACE('a b c', 'b', 'X'), REGEXP_SUBSTR('abc def ghi', '[a-z]+', 1, 3), REGEXP_LIKE('CamelCase', 'CAMELCASE'), REGEXP_INSTR('dog cat dog', 'dog')", "a X c|ghi|1|1"),
        ("SELECT JSON_OBJECT('id', 87, 'name', 'carrot'), JSON_ARRAY(1, 'abc', NULL, TRUE), JSON_VALID('hello'), JSON_LENGTH('[1, 2, {\"a\": 3}]'), JSON_UNQUOTE('\"abc\"')", "{\"id\": 87, \"name\": \"carrot\"}|[1, \"abc\", null, true]|0|3|abc"),
        ("SELECT JSON_OBJECT('a', JSON_ARRAY(1, 2))", "{\"a\": [1, 2]}"),
        ("SELECT CONCAT(at, ''), CONCAT(moment), CONCAT(price), CONCAT(flag) FROM t WHERE id = 1", "2022-07-05 11:11:11|2022-07-05 11:11:11|1.50|1"),
    ])
    .await;
}

#[tokio::test]
async fn numbers_follow_the_mysql_manual() {
    check(Family::MySql, &[
        ("SELECT ROUND(-1.58), ROUND(1.58), ROUND(1.298, 1), ROUND(1.298, 0), ROUND(23.298, -1), ROUND(2.5), ROUND(25E-1)", "-2|2|1.3|1|20|3|2"),
        ("SELECT TRUNCATE(1.223, 1), TRUNCATE(-1.999, 1), TRUNCATE(122, -2), CEILING(1.23), CEIL(-1.23), FLOOR(1.23), FLOOR(-1.23)", "1.2|-1.9|100|2|-1|1|-2"),
        ("SELECT ABS(-32), SIGN(-32), POW(2, 2), POWER(2, -2), SQRT(4), SQRT(-16), EXP(0), LN(1), LOG(2, 65536), LOG2(8), LOG10(100)", "32|-1|4|0.25|2|NULL|1|0|16|3|2"),
        ("SELECT GREATEST(2, 0), GREATEST(34.0, 3.0, 5.0), GREATEST('B', 'A', 'C'), LEAST(2, 0), GREATEST(1, NULL)", "2|34.0|C|0|NULL"),
        ("SELECT PI() > 3.14, DEGREES(PI()), RAND() < 1, BIT_COUNT(29)", "1|180|1|4"),
        ("SELECT ROUND(price, 1), ROUND(price), FLOOR(price), price * 2, price / 2, price + 1 FROM t WHERE id = 2", "2.8|3|2|5.50|1.375000|3.75"),
    ])
    .await;
}
