//! The functions that pg_catalog queries call: visibility, definitions, comments, sizes, privileges, session facts.
//!
//! All of them answer from the statement's [`World`]. Where PostgreSQL takes an object by OID they take its name too, so
//! that `'t'::regclass` needs no type of its own.

mod definitions;
mod directory;
mod lists;
mod row;
mod session;

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use datafusion::arrow::datatypes::DataType;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;

pub use directory::Directory;
use row::{RowFunction, register};

use super::world::{Metadata, World};

/// Registers them all in a query's context. Cheap: the directory is built when a function first needs it.
pub fn register_postgres_functions(ctx: &SessionContext, world: &World) {
    let directory = Arc::new(Directory::new(world.clone()));
    session::register_all(ctx, &directory);
    definitions::register_all(ctx, &directory);
    lists::register_all(ctx);
}

/// Is there such a function here? The case of its name does not matter.
pub fn is_one(name: &str) -> bool {
    static NAMES: OnceLock<HashSet<String>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let context = SessionContext::new_with_state(SessionStateBuilder::new().build());
        register_postgres_functions(&context, &World::new(Metadata::default(), String::new(), None));
        let state = context.state();
        state.scalar_functions().keys().chain(state.aggregate_functions().keys()).chain(state.table_functions().keys()).cloned().collect()
    });
    names.contains(&name.to_ascii_lowercase())
}

/// An argument as text.
fn text(args: &[ScalarValue], i: usize) -> Option<&str> {
    match args.get(i)? {
        ScalarValue::Utf8(Some(t)) | ScalarValue::LargeUtf8(Some(t)) | ScalarValue::Utf8View(Some(t)) => Some(t),
        _ => None,
    }
}

/// An argument as a whole number.
fn number(args: &[ScalarValue], i: usize) -> Option<i64> {
    match args.get(i)? {
        ScalarValue::Int64(v) => *v,
        ScalarValue::Int32(v) => v.map(i64::from),
        ScalarValue::Int16(v) => v.map(i64::from),
        ScalarValue::Int8(v) => v.map(i64::from),
        ScalarValue::UInt64(v) => v.and_then(|v| i64::try_from(v).ok()),
        ScalarValue::UInt32(v) => v.map(i64::from),
        other => text(std::slice::from_ref(other), 0)?.trim().parse().ok(),
    }
}

fn of_text(value: Option<String>) -> ScalarValue {
    ScalarValue::Utf8(value)
}

fn of_oid(value: Option<i64>) -> ScalarValue {
    ScalarValue::Int32(value.and_then(|v| i32::try_from(v).ok()))
}

/// A text function.
fn text_function(name: &'static str, eval: impl Fn(&[ScalarValue]) -> Option<String> + Send + Sync + 'static) -> RowFunction {
    RowFunction::new(name, DataType::Utf8, move |args| of_text(eval(args)))
}

/// A function that gives an OID.
fn oid_function(name: &'static str, eval: impl Fn(&[ScalarValue]) -> Option<i64> + Send + Sync + 'static) -> RowFunction {
    RowFunction::new(name, DataType::Int32, move |args| of_oid(eval(args)))
}

/// A function that gives an int8.
fn bigint_function(name: &'static str, eval: impl Fn(&[ScalarValue]) -> Option<i64> + Send + Sync + 'static) -> RowFunction {
    RowFunction::new(name, DataType::Int64, move |args| ScalarValue::Int64(eval(args)))
}

/// A boolean function.
fn bool_function(name: &'static str, eval: impl Fn(&[ScalarValue]) -> Option<bool> + Send + Sync + 'static) -> RowFunction {
    RowFunction::new(name, DataType::Boolean, move |args| ScalarValue::Boolean(eval(args)))
}
