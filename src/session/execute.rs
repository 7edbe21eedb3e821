//! The dispatcher: one statement to the file that knows it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::scalar::ScalarValue;

use super::call::Call;
use super::client::Description;
use super::state::Session;
use super::statement_guard::StatementGuard;
use super::{Outcome, Reply, Rows};
use crate::error::{Error, Kind, Result};
use crate::sql::{Parsed, Statement};
use crate::telemetry;
use crate::types::Family;

/// How often a statement that is a transaction of its own is run before its write conflict is the client's.
const CONFLICT_ATTEMPTS: u32 = 10;
/// The longest pause before a further run.
const CONFLICT_PAUSE: Duration = Duration::from_secs(1);

impl Session {
    /// Runs one statement. An error in a PostgreSQL transaction fails the transaction.
    pub async fn execute(&mut self, parsed: &Parsed, params: &[ScalarValue]) -> Result<Reply> {
        let settings = self.prepared.settings_of(parsed);
        if settings.is_empty() {
            return self.execute_as_set(parsed, params).await;
        }
        let before = match self.set_for_statement(&settings, parsed).await {
            Ok(before) => before,
            Err(error) => {
                self.unreadable(&error);
                return Err(error);
            }
        };
        let outcome = Box::pin(self.execute_as_set(parsed, params)).await;
        self.end_for_statement(before);
        outcome
    }

    async fn execute_as_set(&mut self, parsed: &Parsed, params: &[ScalarValue]) -> Result<Reply> {
        if let Statement::ExecuteImmediate { source, args } = &parsed.statement {
            let guard = StatementGuard::new(&self.handle, parsed.statement.verb(), self.limit_of(parsed));
            let call = Call { text: Arc::clone(&parsed.text), params: params.into(), guard };
            return Box::pin(self.execute_immediate(source, args, call)).await;
        }
        let verb = parsed.statement.verb();
        let started = Instant::now();
        let limit = self.limit_of(parsed).map(|limit| limit.saturating_sub(self.speculation.time_spent()));
        let guard = StatementGuard::new(&self.handle, verb, limit);
        let keeps_warnings = matches!(&parsed.statement, Statement::Show(_));
        if !keeps_warnings {
            self.diagnostics.clear_warnings();
        }
        let call = Call { text: Arc::clone(&parsed.text), params: params.into(), guard };
        if !matches!(&parsed.statement, Statement::Query(_)) {
            self.speculation.drop_plan();
        }
        let stopped = self.speculation.check_not_stopped(parsed);
        let admitted = match self.check_rights(&parsed.statement).and(stopped) {
            Ok(()) => self.transactions.absorb_loads().await.and_then(|()| self.admit_statement(parsed, params)),
            Err(error) => Err(error),
        };
        let outcome = match admitted {
            Ok(()) => self.dispatch_again(parsed, call).await,
            Err(error) => Err(error),
        };
        telemetry::statement(self.client.protocol.label(), verb, outcome.is_ok(), started.elapsed());
        match &outcome {
            Ok(Reply::Done(done)) => self.diagnostics.row_count = done.affected as i64,
            Ok(_) => self.diagnostics.row_count = -1,
            Err(error) => {
                self.diagnostics.row_count = -1;
                if self.family() == Family::MySql {
                    self.diagnostics.add_error(error);
                } else {
                    self.transactions.fail();
                }
            }
        }
        // A query for these numbers does not change them.
        let asks = |name: &str| parsed.text.as_bytes().windows(name.len()).any(|part| part.eq_ignore_ascii_case(name.as_bytes()));
        let keeps_counts =
            keeps_warnings || matches!(&parsed.statement, Statement::Query(_)) && (asks("@@warning_count") || asks("@@error_count"));
        if self.family() == Family::MySql && !keeps_counts {
            self.diagnostics.update_counts();
        }
        outcome
    }

    /// Runs a statement, and runs it again on a new snapshot when it was a transaction of its own and lost a write
    /// conflict: the client has seen nothing of it yet, and would do no more than send it again.
    async fn dispatch_again(&mut self, parsed: &Parsed, call: Call) -> Result<Reply> {
        let whole = self.transactions.is_idle() && self.settings.autocommit() && self.is_change(&parsed.statement);
        let first = !self.transactions.is_open();
        let mark = self.diagnostics.mark();
        for attempt in 1..=CONFLICT_ATTEMPTS {
            let begun = Instant::now();
            let outcome = Box::pin(self.dispatch(parsed, call.clone())).await;
            match outcome {
                Ok(Reply::Rows(rows)) => {
                    return Ok(Reply::Rows(Rows { columns: self.upstream.as_the_server_has_them(rows.columns), ..rows }));
                }
                Err(error) if whole && error.kind() == Kind::WriteConflict && attempt < CONFLICT_ATTEMPTS => {
                    self.diagnostics.rewind(mark);
                    // As long as others like it take, spread wider each time, so that one of them gets through.
                    let widest = (begun.elapsed() * attempt * 2).clamp(Duration::from_millis(5), CONFLICT_PAUSE);
                    let pause = rand::random_range(Duration::ZERO..=widest);
                    call.guard
                        .run(async {
                            tokio::time::sleep(pause).await;
                            Ok(())
                        })
                        .await?;
                }
                // Its own snapshot is older than a table that another client has just made.
                Err(error)
                    if first
                        && self.upstream.snapshot_time.is_none()
                        && error.kind() == Kind::TableTooNew
                        && attempt < CONFLICT_ATTEMPTS =>
                {
                    self.renew_snapshot().await?;
                }
                outcome => return outcome,
            }
        }
        Err(Error::internal("a statement was run no times"))
    }

    /// Does it change rows, with nothing that the client streams to it?
    pub(super) fn is_change(&self, statement: &Statement) -> bool {
        match statement {
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => true,
            Statement::Execute { name, .. } => self
                .prepared_statement(name)
                .is_some_and(|inner| matches!(inner.statement, Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_))),
            _ => false,
        }
    }

    fn admit_statement(&self, parsed: &Parsed, params: &[ScalarValue]) -> Result<()> {
        if params.len() < parsed.params {
            return Err(Error::new(
                Kind::WrongValue,
                format!("the statement takes {} parameters, {} were given", parsed.params, params.len()),
            ));
        }
        let ends = matches!(&parsed.statement, Statement::Commit { .. } | Statement::Rollback { .. } | Statement::RollbackTo(_));
        if ends {
            return Ok(());
        }
        self.transactions.check_not_failed()?;
        self.check_outside_upstream_transaction(&parsed.statement)
    }

    /// How long a statement may run: by its own hint, the session's variable, or the configuration.
    pub(super) fn limit_of(&self, parsed: &Parsed) -> Option<Duration> {
        if self.family() == Family::MySql
            && let Some(millis) = self.prepared.executed(parsed).limit
        {
            return Some(Duration::from_millis(millis));
        }
        let name = match self.family() {
            Family::MySql => "max_execution_time",
            Family::Postgres => "statement_timeout",
        };
        self.settings.duration(name).or_else(|| self.node.config().limits.statement_timeout.limit())
    }

    pub(super) async fn dispatch(&mut self, parsed: &Parsed, call: Call) -> Result<Reply> {
        let done = |tag: &str| Ok(Reply::Done(Outcome::tag(tag)));
        match &parsed.statement {
            Statement::Query(query) => self.run_query(query, &call).await,
            Statement::Explain(explain) => self.explain(explain, &call).await,
            Statement::Describe { table, column } => self.describe_table(table, column.as_deref(), &call).await,
            Statement::Insert(insert) => self.insert(insert, &call).await,
            Statement::Update(update) => self.update(update, &call).await,
            Statement::Delete(delete) => self.delete(delete, &call).await,
            Statement::Truncate { names } => self.truncate(names).await,

            Statement::CreateDatabase { name, schema, if_not_exists } => self.create_database(name, *schema, *if_not_exists).await,
            Statement::DropDatabase { name, schema, if_exists, cascade } => self.drop_database(name, *schema, *if_exists, *cascade).await,
            Statement::CreateTable(create) => self.create_table(create, &call).await,
            Statement::DropTable { names, if_exists } => self.drop_tables(names, *if_exists).await,
            Statement::AlterTable(alter) => self.alter_table(alter, parsed, &call).await,
            Statement::RenameTable { pairs } => self.rename_tables(pairs).await,
            Statement::CreateView(create) => self.create_view(create, &call).await,
            Statement::DropView { names, if_exists } => self.drop_views(names, *if_exists).await,
            Statement::CreateIndex { table, .. } => self.document_key(table, "CREATE INDEX"),
            Statement::DropIndex { name, table, .. } => self.document_key(table.as_ref().unwrap_or(name), "DROP INDEX"),
            Statement::Comment { .. } => {
                self.diagnostics.warn(1105, "comments are kept as given in CREATE TABLE; COMMENT ON changes nothing");
                done("COMMENT")
            }
            Statement::OptimizeTable { names } => self.optimize(names).await,
            Statement::AnalyzeTable { names } | Statement::CheckTable { names } => self.check_tables(names, parsed.statement.verb()).await,

            Statement::ShowRecycleBin => self.show_recycle_bin().await,
            Statement::FlashbackTable { name, rename_to } => self.flashback_table(name, rename_to.as_deref()).await,
            Statement::PurgeTable { name } => self.purge_table(name).await,
            Statement::PurgeRecycleBin => self.purge_recycle_bin().await,
            Statement::CreateFileStorage { engine, if_not_exists, options } => self.create_storage(engine, *if_not_exists, options).await,
            Statement::DropFileStorage { engine, if_exists } => self.drop_storage(engine, *if_exists).await,
            Statement::ClearFileStorage { engine, mode } => self.clear_storage(engine, *mode).await,
            Statement::AlterFileStorage { engine, action, mode } => self.alter_storage(engine, action, *mode, parsed, &call).await,
            Statement::ShowFileStorage => self.show_storages().await,
            Statement::ShowFlashgate(topic) => self.show_flashgate(*topic),
            Statement::ShowFiles { table, as_of } => self.show_files(table, as_of.as_ref(), &call).await,

            Statement::Grant(grant) => self.grant(grant).await,
            Statement::ShowColdGrants(user) => self.show_cold_grants(user.as_ref()),
            Statement::StandIn(stand_in) => self.stand_in(stand_in),

            Statement::Begin(begin) => self.begin(begin, &call).await,
            Statement::Commit { chain, .. } => self.commit(*chain).await,
            Statement::Rollback { chain, .. } => self.rollback(*chain).await,
            Statement::Savepoint(name) => self.savepoint(name).await,
            Statement::RollbackTo(name) => self.rollback_to(name),
            Statement::Release(name) => self.release(name),
            Statement::SetTransaction { scope, modes } => self.set_transaction(*scope, modes),

            Statement::Set(settings) => self.set(settings, &call).await,
            Statement::Reset(name) => self.reset_variable(name.as_deref()),
            Statement::Discard(what) => self.discard(*what).await,
            Statement::Show(show) => self.show(show, &call).await,
            Statement::Use(name) => {
                self.use_database(name).await?;
                done("USE")
            }
            Statement::Kill { query_only, id } => self.kill(*query_only, id, &call).await,

            Statement::Prepare { name, source } => Box::pin(self.prepare_text(name, source, &call)).await,
            Statement::Execute { name, args } => self.execute_text(name, args, &call).await,
            Statement::ExecuteImmediate { .. } => Err(Error::unsupported("EXECUTE IMMEDIATE in a prepared statement")),
            Statement::Deallocate(name) => self.deallocate(name.as_deref()),
            Statement::DeclareCursor { name, hold, query } => self.declare_cursor(name, *hold, query, &call).await,
            Statement::Fetch { name, count, is_move } => self.fetch(name, *count, *is_move, &call).await,
            Statement::CloseCursor(name) => self.close_cursor(name.as_deref()),

            Statement::Copy(copy) => self.copy(copy, &call).await,
            Statement::LoadData(load) => self.load_data(load, &call).await,
            Statement::LockTables(_) => {
                self.commit_open().await?;
                self.diagnostics.warn(1105, "cold tables are not locked: each statement reads one snapshot");
                done("LOCK TABLES")
            }
            Statement::UnlockTables => done("UNLOCK TABLES"),
            Statement::SelectInto { variables, query } => self.select_into(variables, query, &call).await,
            Statement::Do(expressions) => self.evaluate_all(expressions, &call).await,
            Statement::Flush(_) => done("FLUSH"),
            Statement::Unlisten(_) => done("UNLISTEN"),
            Statement::Unsupported(what) => Err(Error::unsupported(what)),
        }
    }

    /// The types of a statement's parameters and its columns, without running it.
    pub async fn describe(&mut self, parsed: &Parsed, hints: &[Option<crate::types::SqlType>]) -> Result<Description> {
        self.transactions.check_not_failed().or_else(|e| match &parsed.statement {
            Statement::Commit { .. } | Statement::Rollback { .. } | Statement::RollbackTo(_) => Ok(()),
            _ => Err(e),
        })?;
        self.check_rights(&parsed.statement)?;
        self.speculation.check_not_stopped(parsed)?;
        if let Some(description) = self.speculation.take_description(parsed, hints, self.node.gms.catalog_version()) {
            return Ok(description);
        }
        let guard = StatementGuard::new(&self.handle, "PREPARE", None);
        let call = Call { text: Arc::clone(&parsed.text), params: Arc::from([]), guard };
        let said = crate::engine::parameters::of_syntax(&parsed.statement, parsed.params, self.family());
        let at = |types: &[Option<crate::types::SqlType>], i: usize| types.get(i).cloned().flatten();
        let known: Vec<_> = (0..parsed.params.max(hints.len())).map(|i| at(hints, i).or_else(|| at(&said, i))).collect();
        let first = !self.transactions.is_open() && self.upstream.snapshot_time.is_none();
        let (found, columns) = match self.describe_statement(parsed, &call, &known).await {
            Err(error) if first && error.kind() == Kind::TableTooNew => {
                self.renew_snapshot().await?;
                self.describe_statement(parsed, &call, &known).await?
            }
            described => described?,
        };
        let columns = columns.map(|columns| self.upstream.as_the_server_has_them(columns.into()).to_vec());
        let params = known
            .into_iter()
            .enumerate()
            .map(|(i, known)| known.or_else(|| at(&found, i)).unwrap_or(crate::types::SqlType::Text))
            .collect();
        Ok(Description { params, columns })
    }
}
