//! Planning and running one query.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::context::Engine;
use super::dialect::{self, DialectContext};
use super::environment::Environment;
use super::error::translate;
use super::execution::cancellation::Stop;
use super::federated;
use super::functions::Facts;
use super::labels::label_columns;
use super::resolve::{Named, ReferencedTable, Reported, Resolver};
use super::rules::common_moments::CommonMoments;
use super::rules::comparison_keys::ValueKeys;
use super::rules::{mixed_types, quotient_digits, second_fractions};
use crate::cold::TableView;
use crate::error::{Error, Result};
use crate::sql;
use crate::types::{ColumnInfo, Family, SqlType};

/// A query that is planned: its columns are known, nothing has run.
pub struct Planned {
    /// Output columns, labelled as the client expects.
    pub columns: Arc<[ColumnInfo]>,
    /// What each cold table reference reads; scans fill it when the physical plan is made.
    pub(super) reports: Vec<Reported>,
    /// The table whose rows are to be changed, for UPDATE and DELETE.
    pub target: Option<TableView>,
    pub(super) plan: LogicalPlan,
    /// What it was planned in and runs in. In a box: it is large, and futures hold it.
    pub(super) state: Box<SessionState>,
    family: Family,
}

/// A query that is planned to the end: it only has to be run, once.
pub struct Ready {
    planned: Planned,
    physical: Arc<dyn ExecutionPlan>,
    stop: Stop,
}

/// A query that runs: a stream of batches whose columns are `columns`.
pub struct Running {
    /// Output columns.
    pub columns: Arc<[ColumnInfo]>,
    /// The rows. Dropping the stream stops the work.
    pub batches: BoxStream<'static, Result<RecordBatch>>,
}

impl Engine {
    /// Plans a query; its parameters are the environment's.
    pub async fn plan(&self, environment: &Environment<'_>, query: &sql::Query) -> Result<Planned> {
        self.plan_tree(environment, query, &[]).await
    }

    async fn plan_tree(&self, environment: &Environment<'_>, query: &sql::Query, known: &[Option<SqlType>]) -> Result<Planned> {
        let family = environment.dialect.family;
        let mut tree = query.query.as_ref().clone();
        dialect::check_from(&tree, family)?;
        let labels = dialect::label_items(&tree, &environment.dialect, &environment.text);
        let statement_time = query.as_of.as_ref().map(|clause| environment.evaluate(clause)).transpose()?;
        let locks = !tree.locks.is_empty();
        let (references, target) = Resolver::new(self, environment, statement_time).resolve(&mut tree)?;
        if locks && references.iter().any(|reference| matches!(reference.source, ReferencedTable::Hot { .. })) {
            return Err(Error::unsupported("FOR UPDATE or FOR SHARE in a query over cold and hot tables")
                .with_hint("lock the rows of the hot table with a SELECT of its own first"));
        }
        let (providers, reports, view) = self.providers(environment, &references, target.as_deref()).await?;

        dialect::bind(&mut tree, environment.params, family)?;
        if !known.is_empty() {
            dialect::bind_types(&mut tree, known);
        }
        if dialect::has_merged(&tree) {
            let columns = |(name, table): &Named| (name.clone(), table.schema().fields().iter().map(|f| f.name().clone()).collect());
            dialect::merge_joins(&mut tree, &providers.iter().map(columns).collect(), family)?;
        }
        let dialect_context = DialectContext { pipes_as_concat: environment.pipes_as_concat };
        dialect::rewrite(&mut tree, family, &dialect_context)?;
        let chosen = dialect::choice::is_marked(&tree);
        let numbers = family == Family::MySql && second_fractions::numbers_are_in(&tree);
        let mixed = family == Family::MySql && mixed_types::may_be_in(&tree);
        let quotients = family == Family::MySql && environment.facts().keeps_digits && quotient_digits::are_in(&tree);
        let (state, plan) = match self.logical(environment, &tree, &providers, false).await {
            Ok(planned) => planned,
            // Some syntax is planned as a function that was not registered; and an error lists the functions that exist.
            Err(_) => self.logical(environment, &tree, &providers, true).await?,
        };
        let plan = if chosen { dialect::choice::spell_out(plan).map_err(|e| translate(e, family))? } else { plan };
        let plan =
            if numbers { second_fractions::number_moments(plan, &environment.facts()).map_err(|e| translate(e, family))? } else { plan };
        let plan = if mixed { mixed_types::settle(plan, &environment.facts()).map_err(|e| translate(e, family))? } else { plan };
        let plan = settled(plan, environment, state.config_options()).map_err(|e| translate(e, family))?;
        let plan =
            if quotients { quotient_digits::keep_digits(plan, &environment.facts()).map_err(|e| translate(e, family))? } else { plan };
        let mut columns = label_columns(&plan, &labels, family);
        if family == Family::MySql {
            second_fractions::refine(&plan, &mut columns);
        }
        let columns = columns.into();
        Ok(Planned { columns, reports, target: view, plan, state, family })
    }

    /// A plan, and the session that it was made in. `whole`: as [`Engine::context`] says.
    async fn logical(
        &self,
        environment: &Environment<'_>,
        tree: &ast::Query,
        providers: &[Named],
        whole: bool,
    ) -> Result<(Box<SessionState>, LogicalPlan)> {
        let family = environment.dialect.family;
        let context = self.context(environment, tree, whole)?;
        for (name, provider) in providers {
            context.register_table(name.as_str(), Arc::clone(provider)).map_err(|e| translate(e, family))?;
        }
        let statement = DfStatement::Statement(Box::new(ast::Statement::Query(Box::new(tree.clone()))));
        let state = state_of(context);
        let plan = state.statement_to_plan(statement).await.map_err(|e| translate(e, family))?;
        Ok((state, plan))
    }

    /// The types of a query's parameters, as far as their use tells, and its columns. `known`: what is known of them
    /// without a plan.
    pub async fn describe(
        &self,
        environment: &Environment<'_>,
        query: &sql::Query,
        known: &[Option<SqlType>],
    ) -> Result<(Vec<Option<SqlType>>, Arc<[ColumnInfo]>)> {
        let planned = match self.plan_tree(environment, query, known).await {
            Ok(planned) => planned,
            // Some places take a parameter but no NULL.
            Err(error) => self.plan(environment, query).await.map_err(|_| error)?,
        };
        let found = super::parameters::of_plan(&planned.plan, known.len());
        let types = known.iter().zip(found).map(|(known, found)| known.clone().or(found)).collect();
        Ok((types, planned.columns))
    }
}

/// A plan with what its own types do not say of the dialect: where dates and moments meet, and what is compared by a key.
fn settled(plan: LogicalPlan, environment: &Environment<'_>, config: &ConfigOptions) -> datafusion::error::Result<LogicalPlan> {
    let family = environment.dialect.family;
    let facts = Facts::new(family, &environment.facts());
    let plan = CommonMoments { facts: Arc::clone(&facts) }.analyze(plan, config)?;
    if family == Family::MySql { Ok(plan) } else { ValueKeys { facts }.analyze(plan, config) }
}

/// What is within a context that nobody else has: to copy it would copy the names of all functions.
fn state_of(context: SessionContext) -> Box<SessionState> {
    let state = context.state_ref();
    drop(context);
    let mut state = Arc::try_unwrap(state).map_or_else(|shared| Box::new(shared.read().clone()), |state| Box::new(state.into_inner()));
    state.mark_start_execution();
    state
}

impl Planned {
    /// The physical plan, which is to be begun with [`Stop::begin`]; makes the reports complete.
    pub(super) async fn physical(&self) -> Result<(Arc<dyn ExecutionPlan>, Stop)> {
        let stop = Stop::default();
        let failed = |e| translate(e, self.family);
        let plan = self.state.optimize(&self.plan).and_then(|plan| stop.watch(plan)).map_err(failed)?;
        let physical = self.state.query_planner().create_physical_plan(&plan, self.state.as_ref()).await.map_err(failed)?;
        Ok((physical, stop))
    }

    /// Plans what is left to plan.
    pub async fn ready(self) -> Result<Ready> {
        let (physical, stop) = self.physical().await?;
        Ok(Ready { planned: self, physical, stop })
    }

    /// Runs it.
    pub async fn run(self) -> Result<Running> {
        self.ready().await?.run().await
    }
}

impl Ready {
    /// Output columns, labelled as the client expects.
    pub fn columns(&self) -> &Arc<[ColumnInfo]> {
        &self.planned.columns
    }

    /// Runs it.
    pub async fn run(self) -> Result<Running> {
        let Ready { planned: Planned { columns, state, family, .. }, physical, stop } = self;
        stop.begin();
        let context = state.task_ctx();
        let physical = federated::fetch_hot_rows(physical, &context).await.map_err(|e| translate(e, family))?;
        let stream = execute_stream(physical, context).map_err(|e| translate(e, family))?;
        let schema = stream.schema();
        // The optimiser may settle a type (a NULL column, a coerced union): the wire describes what comes.
        let columns: Vec<ColumnInfo> = columns
            .iter()
            .zip(schema.fields())
            .map(
                |(column, field)| {
                    if &column.arrow == field.data_type() { column.clone() } else { ColumnInfo::of_field(field, &column.label) }
                },
            )
            .collect();
        let batches = stream.map(move |batch| batch.map_err(|e| translate(e, family))).boxed();
        Ok(Running { columns: columns.into(), batches })
    }
}
