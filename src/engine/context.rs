//! What a query runs in: the engine (one a process), and the environment of one statement.

use std::collections::HashSet;
use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, TableProvider,
};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::optimizer::{Analyzer, AnalyzerRule};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{self, Visitor};
use jiff::tz::TimeZone;

use super::branch_order::BranchesInOrder;
use super::coerced::LosslessCasts;
use super::common_types::DoublesWin;
use super::dialect;
use super::error::translate;
use super::functions::{self, FunctionFacts};
use super::hot::HotAccess;
use super::membership::MembershipOfNulls;
use super::names::Namespace;
use super::outer_types::OuterTypes;
use super::pushdown::physical_rules;
use super::single_rows::SingleRows;
use super::sorting::SpillLargeLimits;
use super::yielding::YieldInJoins;
use crate::cold::{Cold, Transaction};
use crate::error::Result;
use crate::sql::Dialect;
use crate::sql::walk::walk;
use crate::time::Tso;
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
        let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(DoublesWin), Arc::new(SingleRows)];
        rules.extend(Analyzer::new().rules);
        rules.push(Arc::new(OuterTypes));
        if let Some([double, real]) = functions::of_decimals(family) {
            rules.push(Arc::new(LosslessCasts { double, real }));
        }
        rules.push(Arc::new(MembershipOfNulls));
        let whole = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_default_features()
            .with_analyzer_rules(rules)
            .with_physical_optimizer_rules(physical_rules())
            .with_physical_optimizer_rule(Arc::new(SpillLargeLimits))
            .with_physical_optimizer_rule(Arc::new(BranchesInOrder))
            .with_physical_optimizer_rule(Arc::new(YieldInJoins));
        let whole = whole.build();
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

/// The functions that a query calls, in lower case. In FROM they are relations to the parser.
pub fn called(tree: &ast::Query) -> HashSet<String> {
    struct Calls(HashSet<String>);
    impl Calls {
        fn add(&mut self, name: &ast::ObjectName) {
            self.0.extend(name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_ascii_lowercase()));
        }
    }
    impl Visitor for Calls {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &ast::Expr) -> ControlFlow<()> {
            if let ast::Expr::Function(function) = expr {
                self.add(&function.name);
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_relation(&mut self, relation: &ast::ObjectName) -> ControlFlow<()> {
            self.add(relation);
            ControlFlow::Continue(())
        }
    }
    let mut calls = Calls(HashSet::new());
    let _ = walk(tree, &mut calls);
    calls.0
}

/// Where a read time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeOrigin {
    /// A clause at the table.
    Table,
    /// A clause at the end of the statement.
    Statement,
    /// `START TRANSACTION READ ONLY AS OF ..`
    Transaction,
    /// The snapshot of the open transaction.
    Snapshot,
    /// `SET flashback_read_time`.
    Session,
    /// No one said otherwise.
    Now,
}

impl TimeOrigin {
    /// For EXPLAIN.
    pub fn words(self) -> &'static str {
        match self {
            TimeOrigin::Table => "table clause",
            TimeOrigin::Statement => "statement clause",
            TimeOrigin::Transaction | TimeOrigin::Snapshot => "transaction",
            TimeOrigin::Session => "session variable flashback_read_time",
            TimeOrigin::Now => "now",
        }
    }
}

/// A read time with its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadTime {
    /// The time.
    pub at: Tso,
    /// Who said so.
    pub origin: TimeOrigin,
}

/// Tables that are made up from metadata, and the functions that go with them; the session room knows what they say.
pub trait VirtualTables: Send + Sync {
    /// Is there such a table?
    fn exists(&self, schema: &str, name: &str) -> bool;
    /// Its rows as of now.
    fn table(&self, schema: &str, name: &str) -> Option<Arc<dyn TableProvider>>;
    /// Adds functions about the session and the catalog.
    fn register_functions(&self, context: &SessionContext);
}

/// What one statement sees of its session.
pub struct Environment<'a> {
    /// The language and how strings are quoted.
    pub dialect: Dialect,
    /// How names are read.
    pub namespace: Namespace,
    /// The session's zone.
    pub zone: TimeZone,
    /// The statement's time: what NOW() says.
    pub now: Tso,
    /// For tables without a clause.
    pub read: ReadTime,
    /// The open transaction, whose changes are seen at its own time.
    pub transaction: Option<&'a Transaction>,
    /// Values of the statement's parameters.
    pub params: &'a [ScalarValue],
    /// Metadata as tables.
    pub tables: Arc<dyn VirtualTables>,
    /// The statement's text, for labels and positions.
    pub text: Arc<str>,
    /// MySQL: `||` concatenates (sql_mode has PIPES_AS_CONCAT).
    pub pipes_as_concat: bool,
    /// MySQL: a difference of unsigned numbers has a sign (sql_mode has NO_UNSIGNED_SUBTRACTION).
    pub signed_subtraction: bool,
    /// The way to hot tables; None: there are none.
    pub hot: Option<HotAccess>,
}

impl Environment<'_> {
    pub(super) fn facts(&self) -> FunctionFacts {
        FunctionFacts {
            zone: self.zone.clone(),
            now_micros: self.now.unix_micros() as i64,
            signed_subtraction: self.signed_subtraction,
            keeps_digits: super::quotients::are_kept(self.dialect.server),
        }
    }
}
