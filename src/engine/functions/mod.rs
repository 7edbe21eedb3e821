//! The functions of both dialects, for a DataFusion session.
//!
//! One file for a family of functions; each file adds its rows to a table ([`scalar::Spec`]). DataFusion's own
//! functions stay where their meaning agrees; a row of this table with the same name replaces one. Names beginning with
//! `fg_` are what `engine::dialect` rewrites operators and special forms to; users never type them.

mod arithmetic;
mod arrays_pg;
mod bits;
mod bytea_pg;
mod cast;
mod choice;
pub(in crate::engine) mod common_moment;
mod control;
mod date_fields_pg;
mod dates;
mod dates_mysql;
mod dates_pg;
mod extremes_pg;
mod facts;
mod format_mysql;
mod format_pg;
mod hash;
mod json;
mod jsonb;
mod moments;
mod numeric;
mod numeric_pg;
mod pattern;
mod quotients;
pub mod scalar;
mod series_pg;
mod sleep;
mod text;
mod text_mysql;
mod text_pg;
mod udf;

pub use cast::{cast_name, read_moment, type_argument};
pub(in crate::engine) use choice::{CASE, CASE_OF, case_parts, common, converted};
pub(super) use extremes_pg::length as interval_length;
pub use facts::{Facts, FunctionFacts};
pub use moments::read_number;
pub use pattern::with_backslashes;
pub use scalar::declared_digits;
pub(in crate::engine) use udf::{conversion, conversion_in};

use std::sync::{Arc, OnceLock};

use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, ScalarUDF};
use datafusion::prelude::SessionContext;
use jiff::tz::TimeZone;

use super::error::external;
use crate::error::Error;
use crate::types::Family;
use scalar::Spec;

/// The scalar functions of a dialect.
fn table(family: Family) -> &'static [Spec] {
    static MYSQL: OnceLock<Vec<Spec>> = OnceLock::new();
    static POSTGRES: OnceLock<Vec<Spec>> = OnceLock::new();
    let shared = |out: &mut Vec<Spec>| {
        arithmetic::add(out);
        cast::add(out);
        control::add(out);
        dates::add(out);
        hash::add(out);
        json::add(out);
        numeric::add(out);
        pattern::add(out);
        text::add(out);
    };
    match family {
        Family::MySql => MYSQL.get_or_init(|| {
            let mut out = Vec::new();
            shared(&mut out);
            arithmetic::add_mysql(&mut out);
            bits::add(&mut out);
            control::add_choice(&mut out, family);
            choice::add(&mut out, family);
            dates_mysql::add(&mut out);
            moments::add(&mut out);
            quotients::add(&mut out);
            text_mysql::add(&mut out);
            out
        }),
        Family::Postgres => POSTGRES.get_or_init(|| {
            let mut out = Vec::new();
            shared(&mut out);
            control::add_choice(&mut out, family);
            choice::add(&mut out, family);
            arrays_pg::add(&mut out);
            dates_pg::add(&mut out);
            extremes_pg::add(&mut out);
            jsonb::add(&mut out);
            text_pg::add(&mut out);
            bytea_pg::add(&mut out);
            numeric_pg::add(&mut out);
            series_pg::add(&mut out);
            out
        }),
    }
}

/// The functions that DataFusion looks up by itself for forms that are no calls: `TRIM(LEADING ..)`, `CEIL(x TO ..)`.
const FORMS: [&str; 8] = ["btrim", "ltrim", "rtrim", "trim", "ceil", "floor", "substr", "strpos"];

/// Registers the functions of a dialect that `wanted` names (in lower case) with a DataFusion session. The functions that tell who and where the session is (`DATABASE()`, `current_user`) are the catalog's.
pub fn register(ctx: &SessionContext, family: Family, facts: &FunctionFacts, wanted: impl Fn(&str) -> bool) {
    let held = Facts::new(family, facts);
    for spec in table(family).iter().filter(|spec| wanted(spec.name) || FORMS.contains(&spec.name)) {
        ctx.register_udf(udf::udf(spec, &held));
    }
    if wanted("sleep") || wanted("pg_sleep") {
        ctx.register_udf(sleep::udf(family));
    }
}

/// Functions of MySQL's by name, for the passes over a plan.
pub(super) fn mysql_functions(names: &[&'static str], facts: &FunctionFacts) -> Vec<(&'static str, ScalarUDF)> {
    let facts = Facts::new(Family::MySql, facts);
    names.iter().filter_map(|name| Some((*name, internal(name, &facts)?))).collect()
}

/// The functions that make doubles and singles of decimals, which need nothing of a session.
pub(super) fn of_decimals(family: Family) -> Option<[Arc<ScalarUDF>; 2]> {
    let facts = Facts::new(family, &FunctionFacts { zone: TimeZone::UTC, now_micros: 0, signed_subtraction: false, keeps_digits: false });
    Some([Arc::new(internal("fg_double", &facts)?), Arc::new(internal("fg_real", &facts)?)])
}

/// The function that an operator becomes.
pub(super) fn internal(name: &str, facts: &Arc<Facts>) -> Option<ScalarUDF> {
    table(facts.family).iter().find(|spec| spec.name == name).map(|spec| udf::udf(spec, facts))
}

/// A call of one of our functions.
pub(super) fn call(name: &str, args: Vec<Expr>, facts: &Arc<Facts>) -> Result<Expr, DataFusionError> {
    match internal(name, facts) {
        Some(function) => Ok(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), args))),
        None => Err(external(Error::internal(format!("no function {name}")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::new_empty_array;
    use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
    use datafusion::config::ConfigOptions;
    use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs};

    #[test]
    fn no_rows_are_no_rows_to_every_function() {
        let types = [DataType::Utf8, DataType::Int64, DataType::Date32, DataType::Timestamp(TimeUnit::Microsecond, None)];
        for family in [Family::MySql, Family::Postgres] {
            let facts = Facts::new(
                family,
                &FunctionFacts { zone: jiff::tz::TimeZone::UTC, now_micros: 0, signed_subtraction: false, keeps_digits: true },
            );
            let mut called = 0;
            for (spec, ty) in table(family).iter().flat_map(|spec| types.iter().map(move |ty| (spec, ty))) {
                let function = udf::udf(spec, &facts);
                let arg_fields: Vec<_> = (0..spec.least.max(1)).map(|n| Arc::new(Field::new(format!("c{n}"), ty.clone(), true))).collect();
                let unknown = vec![None; arg_fields.len()];
                let Ok(return_field) =
                    function.return_field_from_args(ReturnFieldArgs { arg_fields: &arg_fields, scalar_arguments: &unknown })
                else {
                    continue;
                };
                let args = arg_fields.iter().map(|_| ColumnarValue::Array(new_empty_array(ty))).collect();
                let config_options = Arc::new(ConfigOptions::default());
                let args = ScalarFunctionArgs { args, arg_fields, number_rows: 0, return_field, config_options };
                let ColumnarValue::Array(array) = function.invoke_with_args(args).unwrap() else { panic!("{} of no rows", spec.name) };
                assert_eq!(array.len(), 0, "{}", spec.name);
                called += 1;
            }
            assert!(called > 300, "{called}");
        }
    }
}
