//! Promises about time expressions.

use datafusion::scalar::ScalarValue;
use jiff::tz::TimeZone;

use super::time::{TimeContext, evaluate};
use super::{Dialect, Statement, TimeClause, parse};
use crate::error::{Error, Kind, Result};
use crate::time::{Tso, parse_zone};

/// 2022-07-05 11:11:11.123456 UTC.
const NOW: u64 = 1_657_019_471_123_456;

fn clause(dialect: &Dialect, time: &str) -> TimeClause {
    match parse(dialect, &format!("SELECT 1 WHERE true AS OF {time}")).unwrap_or_else(|e| panic!("{time}: {e}")).remove(0).statement {
        Statement::Query(query) => query.as_of.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn at(dialect: &Dialect, zone: &str, params: &[ScalarValue], time: &str) -> Result<String> {
    let context = TimeContext { zone: parse_zone(zone).unwrap(), now: Tso::from_unix_micros(NOW), params };
    evaluate(&clause(dialect, time), &context).map(|tso| tso.display_in(&TimeZone::UTC))
}

fn mysql(zone: &str, time: &str) -> String {
    at(&Dialect::MYSQL, zone, &[], &format!("TIMESTAMP {time}")).unwrap_or_else(|e| panic!("{time}: {e}"))
}

fn postgres(zone: &str, time: &str) -> String {
    at(&Dialect::POSTGRES, zone, &[], &format!("TIMESTAMP {time}")).unwrap_or_else(|e| panic!("{time}: {e}"))
}

fn error(dialect: &Dialect, params: &[ScalarValue], time: &str) -> Error {
    at(dialect, "UTC", params, time).err().unwrap_or_else(|| panic!("{time}"))
}

#[test]
fn a_literal_is_read_in_the_session_s_zone_unless_it_says_its_own() {
    for (text, want) in [
        ("2022-07-05 11:11:11", "2022-07-05 03:11:11.000000"),
        ("2022-07-05T11:11", "2022-07-05 03:11:00.000000"),
        ("2022-7-5", "2022-07-04 16:00:00.000000"),
        ("2022-07-05 11:11:11.000001", "2022-07-05 03:11:11.000001"),
        ("2022-07-05 11:11:11.5000000", "2022-07-05 03:11:11.500000"),
        ("2022-07-05 11:11:11Z", "2022-07-05 11:11:11.000000"),
        ("2022-07-05 11:11:11+02", "2022-07-05 09:11:11.000000"),
        ("2022-07-05T11:11:11.25-03:30", "2022-07-05 14:41:11.250000"),
        ("2022-07-05 11:11:11 Europe/Paris", "2022-07-05 09:11:11.000000"),
    ] {
        assert_eq!(mysql("+08:00", &format!("'{text}'")), want, "{text}");
        assert_eq!(postgres("+08:00", &format!("'{text}'")), want, "{text}");
    }
}

#[test]
fn the_hour_that_is_missing_or_double_is_read_as_documented() {
    // 2022-03-27 02:30 does not exist in Paris: forward by the gap. 2022-10-30 02:30 is there twice: the earlier.
    assert_eq!(mysql("Europe/Paris", "'2022-03-27 02:30:00'"), "2022-03-27 01:30:00.000000");
    assert_eq!(mysql("Europe/Paris", "'2022-10-30 02:30:00'"), "2022-10-30 00:30:00.000000");
    // A day is a calendar day, an hour is an hour: noon to noon across the change has 23 hours.
    assert_eq!(postgres("Europe/Paris", "TIMESTAMP '2022-03-27 12:00:00' - INTERVAL '1 day'"), "2022-03-26 11:00:00.000000");
    assert_eq!(postgres("Europe/Paris", "TIMESTAMP '2022-03-27 12:00:00' - INTERVAL '24 hours'"), "2022-03-26 10:00:00.000000");
}

#[test]
fn clocks_keep_their_microseconds_unless_digits_are_asked_for() {
    for f in ["NOW()", "CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP()", "LOCALTIMESTAMP", "SYSDATE()", "UTC_TIMESTAMP()", "NOW(6)"] {
        assert_eq!(mysql("+08:00", f), "2022-07-05 11:11:11.123456", "{f}");
    }
    for f in ["now()", "CURRENT_TIMESTAMP", "statement_timestamp()", "clock_timestamp()", "pg_catalog.now()"] {
        assert_eq!(postgres("+08:00", f), "2022-07-05 11:11:11.123456", "{f}");
    }
    assert_eq!(mysql("UTC", "NOW(3)"), "2022-07-05 11:11:11.123000");
    assert_eq!(postgres("+14:00", "current_date"), "2022-07-05 10:00:00.000000");
    assert_eq!(mysql("+14:00", "CURDATE()"), "2022-07-05 10:00:00.000000");
}

#[test]
fn intervals_are_taken_in_both_languages() {
    for (time, want) in [
        ("NOW(0) - INTERVAL 1 DAY", "2022-07-04 11:11:11.000000"),
        ("NOW(0) - INTERVAL '2' HOUR", "2022-07-05 09:11:11.000000"),
        ("DATE_SUB(NOW(0), INTERVAL 1 MONTH)", "2022-06-05 11:11:11.000000"),
        ("DATE_ADD('2022-01-31', INTERVAL 1 MONTH)", "2022-02-28 00:00:00.000000"),
        ("'2022-07-05' + INTERVAL 1 WEEK", "2022-07-12 00:00:00.000000"),
        ("INTERVAL 1 DAY + '2022-07-05'", "2022-07-06 00:00:00.000000"),
        ("NOW(0) - INTERVAL 1.5 SECOND", "2022-07-05 11:11:09.500000"),
        ("NOW(0) - INTERVAL 1 DAY - INTERVAL 1 HOUR", "2022-07-04 10:11:11.000000"),
        ("FROM_UNIXTIME(1657019471.25)", "2022-07-05 11:11:11.250000"),
        ("TIMESTAMP('2022-07-05 11:11:11')", "2022-07-05 11:11:11.000000"),
        ("CAST('2022-07-05 11:11:11' AS DATETIME)", "2022-07-05 11:11:11.000000"),
    ] {
        assert_eq!(mysql("UTC", time), want, "{time}");
    }
    for (time, want) in [
        ("now() - INTERVAL '1 day 2 hours'", "2022-07-04 09:11:11.123456"),
        ("now() - interval '1' day", "2022-07-04 11:11:11.123456"),
        ("now() - '90 minutes'::interval", "2022-07-05 09:41:11.123456"),
        ("now() + interval '1 hour ago'", "2022-07-05 10:11:11.123456"),
        ("now() - interval '01:30:00.5'", "2022-07-05 09:41:10.623456"),
        ("now() - interval 'P1DT1H'", "2022-07-04 10:11:11.123456"),
        ("'2022-07-05 11:11:11+02'::timestamptz", "2022-07-05 09:11:11.000000"),
        ("CAST('2022-07-05' AS date)", "2022-07-05 00:00:00.000000"),
        ("to_timestamp(1657019471)", "2022-07-05 11:11:11.000000"),
        ("date_trunc('hour', now())", "2022-07-05 11:00:00.000000"),
        ("date_trunc('week', now())", "2022-07-04 00:00:00.000000"),
        ("(timestamp '2022-07-05 11:11:11' at time zone 'Asia/Tokyo')", "2022-07-05 02:11:11.000000"),
    ] {
        assert_eq!(postgres("UTC", time), want, "{time}");
    }
}

#[test]
fn a_tso_is_a_number_and_a_time_is_not() {
    let tso = (1_657_019_471_000u64) << 22;
    for time in [format!("TSO {tso}"), format!("TSO {} + 1", tso - 1), "TSO 1657019471000 << 22".into(), format!("TSO '{tso}'")] {
        assert_eq!(at(&Dialect::POSTGRES, "UTC", &[], &time).unwrap(), "2022-07-05 11:11:11.000000", "{time}");
    }
    assert_eq!(at(&Dialect::MYSQL, "UTC", &[ScalarValue::UInt64(Some(tso))], "TSO ?").unwrap(), "2022-07-05 11:11:11.000000");
    for time in ["TSO -1", "TSO 9223372036854775808", "TSO '2022-07-05'", "TSO a", "TIMESTAMP 5", "TIMESTAMP 20220705111111"] {
        assert_eq!(error(&Dialect::POSTGRES, &[], time).kind(), Kind::NotConstantTime, "{time}");
    }
}

#[test]
fn parameters_bring_text_timestamps_and_dates() {
    let micros = NOW as i64;
    for (value, want) in [
        (ScalarValue::Utf8(Some("2022-07-05 11:11:11".into())), "2022-07-05 09:11:11.000000"),
        (ScalarValue::TimestampMicrosecond(Some(micros), None), "2022-07-05 09:11:11.123456"),
        (ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())), "2022-07-05 11:11:11.123456"),
        (ScalarValue::TimestampNanosecond(Some(micros * 1000 + 999), Some("UTC".into())), "2022-07-05 11:11:11.123456"),
        (ScalarValue::Date32(Some(19_178)), "2022-07-04 22:00:00.000000"),
    ] {
        for (dialect, time) in [(Dialect::MYSQL, "?"), (Dialect::MYSQL, "TIMESTAMP ?"), (Dialect::POSTGRES, "TIMESTAMP $1")] {
            assert_eq!(at(&dialect, "Europe/Paris", std::slice::from_ref(&value), time).unwrap(), want, "{value:?}");
        }
    }
    assert_eq!(
        at(&Dialect::MYSQL, "UTC", &[ScalarValue::Int64(Some(2))], "TIMESTAMP NOW(0) - INTERVAL ? DAY").unwrap(),
        "2022-07-03 11:11:11.000000"
    );
    for params in [&[][..], &[ScalarValue::Utf8(None)], &[ScalarValue::Int64(Some(5))], &[ScalarValue::Boolean(Some(true))]] {
        assert_eq!(error(&Dialect::MYSQL, params, "TIMESTAMP ?").kind(), Kind::NotConstantTime);
    }
}

#[test]
fn what_is_not_one_constant_moment_is_an_error() {
    for time in [
        "TIMESTAMP a",
        "TIMESTAMP t.a",
        "TIMESTAMP (SELECT now())",
        "TIMESTAMP rand()",
        "TIMESTAMP 'yesterdayish'",
        "TIMESTAMP '2022-13-01'",
        "TIMESTAMP '2022-02-30'",
        "TIMESTAMP '2022-07-05 25:00:00'",
        "TIMESTAMP '2022-07-05 11:11:11.1234567'",
        "TIMESTAMP '2022-07-05 11:11:11 Mars/Olympus'",
        "TIMESTAMP NULL",
        "TIMESTAMP ''",
        "TIMESTAMP '2022-07-05\u{a0}11:11'",
        "TIMESTAMP '1969-12-31 23:59:59'",
        "TIMESTAMP now() + now()",
        "TIMESTAMP coalesce(now())",
    ] {
        for dialect in [Dialect::MYSQL, Dialect::POSTGRES] {
            assert_eq!(error(&dialect, &[], time).kind(), Kind::NotConstantTime, "{time}");
        }
    }
    for time in ["TIMESTAMP now() - interval 'soon'", "TIMESTAMP now() - interval '1 day -1 hour'", "TIMESTAMP interval '1 day'"] {
        assert_eq!(error(&Dialect::POSTGRES, &[], time).kind(), Kind::NotConstantTime, "{time}");
    }
    assert_eq!(error(&Dialect::MYSQL, &[], "TIMESTAMP NOW() + INTERVAL 99999999999 YEAR").kind(), Kind::NotConstantTime);
}
