//! The functions that pg_catalog queries call: visibility, definitions, comments, sizes, privileges, session facts.
//!
//! All of them answer from the statement's [`CatalogSnapshot`]. Where PostgreSQL takes an object by OID they take its name too, so
//! that `'t'::regclass` needs no type of its own.

mod build;
mod definitions;
mod directory;
mod lists;
mod row;
mod session;

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionContext;

pub use directory::Directory;

use super::snapshot::{CatalogSnapshot, Metadata};

/// Registers them all in a query's context. Cheap: the directory is built when a function first needs it.
pub fn register_postgres_functions(ctx: &SessionContext, snapshot: &CatalogSnapshot) {
    let directory = Arc::new(Directory::new(snapshot.clone()));
    session::register_all(ctx, &directory);
    definitions::register_all(ctx, &directory);
    lists::register_all(ctx);
}

/// Is there such a function here? The case of its name does not matter.
pub fn is_one(name: &str) -> bool {
    static NAMES: OnceLock<HashSet<String>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let context = SessionContext::new_with_state(SessionStateBuilder::new().build());
        register_postgres_functions(&context, &CatalogSnapshot::new(Metadata::default(), String::new(), None));
        let state = context.state();
        state.scalar_functions().keys().chain(state.aggregate_functions().keys()).chain(state.table_functions().keys()).cloned().collect()
    });
    names.contains(&name.to_ascii_lowercase())
}
