//! What functions know of the session and the statement that call them.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::types::Family;

/// What a session's functions need to know of the session and the statement.
#[derive(Debug, Clone)]
pub struct FunctionFacts {
    /// The session's zone.
    pub zone: TimeZone,
    /// The time of the statement (MySQL) or transaction (PostgreSQL): unix microseconds.
    pub now_micros: i64,
    /// MySQL's sql_mode NO_UNSIGNED_SUBTRACTION.
    pub signed_subtraction: bool,
    /// ROUND and quotients have MariaDB's digits; MySQL 9 has fewer (`engine::rules::quotient_digits`).
    pub keeps_digits: bool,
}

/// The facts with the dialect, as the functions hold them.
#[derive(Debug)]
pub struct Facts {
    /// The dialect.
    pub family: Family,
    /// The session's zone.
    pub zone: TimeZone,
    /// Unix microseconds.
    pub now_micros: i64,
    /// MySQL's sql_mode NO_UNSIGNED_SUBTRACTION.
    pub signed_subtraction: bool,
    /// ROUND and quotients have MariaDB's digits; MySQL 9 has fewer (`engine::rules::quotient_digits`).
    pub keeps_digits: bool,
}

impl Facts {
    /// Of a statement's session.
    pub(in crate::engine) fn new(family: Family, facts: &FunctionFacts) -> Arc<Facts> {
        let FunctionFacts { zone, now_micros, signed_subtraction, keeps_digits } = facts.clone();
        Arc::new(Facts { family, zone, now_micros, signed_subtraction, keeps_digits })
    }
}
