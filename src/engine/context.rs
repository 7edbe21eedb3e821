//! The engine: one for each process, with the memory, the spill space and the rules of all queries.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use datafusion::catalog::{CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::sqlparser::ast;

use super::dialect::{self, called};
use super::environment::Environment;
use super::error::translate;
use super::{execution, functions, rules};
use crate::cold::Cold;
use crate::error::Result;
use crate::types::Family;

/// Where DataFusion looks for tables when a name says nothing else.
const CATALOG: &str = "datafusion";
const SCHEMA: &str = "public";

/// The query engine of the process: its memory, its spill space, its parallelism.
#[derive(Clone)]
pub struct Engine {
    /// Cold tables.
    pub cold: Cold,
    runtime: Arc<RuntimeEnv>,
    partitions: usize,
    batch_rows: usize,
    /// What the sessions of a dialect's statements are copied from.
    bases: Arc<[OnceLock<Base>; 2]>,
}

/// A session of DataFusion to be copied for each statement. To copy its functions, all 600 of them, is a tenth of the work for
/// a small query, so that one has hardly any.
struct Base {
    bare: SessionState,
    /// With all functions of DataFusion's.
    whole: SessionState,
}

/// What planning asks for by name though nobody calls it: DISTINCT ON becomes this.
const UNCALLED: &str = "first_value";

/// What the queries of a process may use.
#[derive(Debug, Clone)]
pub struct Resources {
    /// Bytes that all queries together may use before they spill.
    pub memory: usize,
    /// Where they spill to.
    pub spill_dir: PathBuf,
    /// Bytes that all spilled data together may take.
    pub spill_bytes: u64,
    /// Partitions that a query runs in; 0: one a core.
    pub partitions: usize,
    /// Rows a batch.
    pub batch_rows: usize,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("partitions", &self.partitions).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine over `cold` within `resources`.
    pub fn new(cold: Cold, resources: &Resources) -> Result<Engine> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(resources.memory)))
            .with_temp_file_path(&resources.spill_dir)
            .with_max_temp_directory_size(resources.spill_bytes)
            .build_arc()
            .map_err(|e| translate(e, Family::MySql))?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let partitions = if resources.partitions == 0 { cores } else { resources.partitions };
        Ok(Engine { cold, runtime, partitions, batch_rows: resources.batch_rows, bases: Arc::default() })
    }

    /// A DataFusion session for one statement: the dialect's settings and the functions that `tree` calls, no tables. `whole`:
    /// with functions that some syntax of it may stand for.
    pub(super) fn context(&self, environment: &Environment<'_>, tree: &ast::Query, whole: bool) -> Result<SessionContext> {
        let family = environment.dialect.family;
        let base = &self.bases[usize::from(family == Family::Postgres)];
        let base = base.get_or_init(|| self.base(family));
        let called = called(tree);
        let mut state = if whole { base.whole.clone() } else { base.with(&called).map_err(|e| translate(e, family))? };
        let (list, catalog) = (MemoryCatalogProviderList::new(), MemoryCatalogProvider::new());
        // Both are new: nothing stands there yet.
        let _ = catalog.register_schema(SCHEMA, Arc::new(MemorySchemaProvider::new()));
        list.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
        state.register_catalog_list(Arc::new(list));
        let context = SessionContext::new_with_state(state);
        functions::register(&context, family, &environment.facts(), |name| called.contains(name));
        dialect::register_planners(&context, family, &environment.facts());
        environment.tables.register_functions(&context);
        Ok(context)
    }

    fn base(&self, family: Family) -> Base {
        let mut config =
            SessionConfig::new().with_target_partitions(self.partitions).with_batch_size(self.batch_rows).with_information_schema(false);
        // A filter makes the row count an estimate; few rows are still not worth dealing out.
        config.options_mut().execution.use_row_number_estimates_to_optimize_partitioning = true;
        // It finds the keys of an aggregate by their names, and two of them may have the same.
        config.options_mut().optimizer.top_down_join_key_reordering = false;
        let config = dialect::configure(config, family);
        let whole = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_default_features()
            .with_analyzer_rules(rules::analyzer_rules(family))
            .with_physical_optimizer_rules(execution::optimizer_rules())
            .build();
        let bare = SessionStateBuilder::new_from_existing(whole.clone())
            .with_scalar_functions(Vec::new())
            .with_aggregate_functions(Vec::new())
            .with_window_functions(Vec::new())
            .build();
        Base { bare, whole }
    }
}

impl Base {
    /// A copy with those functions of DataFusion's that are called by these names.
    fn with(&self, called: &HashSet<String>) -> datafusion::error::Result<SessionState> {
        let mut state = self.bare.clone();
        for name in called.iter().map(String::as_str).chain([UNCALLED]) {
            if let Some(function) = self.whole.scalar_functions().get(name) {
                state.register_udf(Arc::clone(function))?;
            }
            if let Some(function) = self.whole.aggregate_functions().get(name) {
                state.register_udaf(Arc::clone(function))?;
            }
            if let Some(function) = self.whole.window_functions().get(name) {
                state.register_udwf(Arc::clone(function))?;
            }
        }
        Ok(state)
    }
}
