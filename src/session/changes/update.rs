//! UPDATE, DELETE, TRUNCATE: a query finds the rows by their positions, cold tables replace the files that lose them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt64Array};
use datafusion::arrow::compute::kernels::cmp::distinct;
use datafusion::arrow::compute::{filter, or};
use datafusion::sql::sqlparser::ast::{self, SelectItem};
use futures::TryStreamExt;

use super::change_query::ChangeQuery;
use crate::cold::{Delta, FileSink, Hits, TableView};
use crate::error::{Error, Result};
use crate::gms::{Table, TaskId};
use crate::session::call::{Call, Described};
use crate::session::state::Session;
use crate::session::{Outcome, Reply};
use crate::sql::Name;
use crate::types::coerce::coerce;
use crate::types::rows::batch_of;
use crate::types::{Family, SqlType};

impl Session {
    pub(in crate::session) async fn update(&mut self, update: &ast::Update, call: &Call) -> Result<Reply> {
        if update.returning.is_some() {
            return Err(Error::unsupported("UPDATE .. RETURNING"));
        }
        let change = self.update_query(update)?;
        let (matched, changed) = self.change_rows(change, call).await?;
        let affected = if self.family() == Family::MySql { changed } else { matched };
        let info = format!("Rows matched: {matched}  Changed: {changed}  Warnings: 0");
        Ok(Reply::Done(Outcome { affected, matched: Some(matched), info, ..Outcome::tag(format!("UPDATE {matched}")) }))
    }

    pub(in crate::session) async fn delete(&mut self, delete: &ast::Delete, call: &Call) -> Result<Reply> {
        if delete.returning.is_some() {
            return Err(Error::unsupported("DELETE .. RETURNING"));
        }
        let change = self.delete_query(delete)?;
        let (matched, _) = self.change_rows(change, call).await?;
        Ok(Reply::Done(Outcome { affected: matched, ..Outcome::tag(format!("DELETE {matched}")) }))
    }

    /// TRUNCATE: all files go at one moment; the past keeps them.
    pub(in crate::session) async fn truncate(&mut self, names: &[Name]) -> Result<Reply> {
        self.end_before_ddl("TRUNCATE").await?;
        for name in names {
            let table = self.table(name)?;
            let own = self.begin_write().await?;
            let delta = self.truncate_delta(&table).await;
            self.end_write(own, delta.map(|d| vec![d])).await?;
        }
        self.renew_snapshot().await?;
        Ok(Reply::Done(Outcome::tag("TRUNCATE TABLE")))
    }

    async fn truncate_delta(&mut self, table: &Arc<Table>) -> Result<Delta> {
        let read = self.read_time().await?;
        let snapshot = self.node.engine.snapshot(table, read).await?;
        let mut delta = Delta::new(Arc::clone(table));
        delta.removed = snapshot.files.iter().map(|f| f.id).collect();
        Ok(delta)
    }

    pub(in crate::session) async fn describe_update(
        &mut self,
        update: &ast::Update,
        known: &[Option<SqlType>],
        call: &Call,
    ) -> Result<Described> {
        let change = self.update_query(update)?;
        self.describe_change(change, known, call).await
    }

    pub(in crate::session) async fn describe_delete(
        &mut self,
        delete: &ast::Delete,
        known: &[Option<SqlType>],
        call: &Call,
    ) -> Result<Described> {
        let change = self.delete_query(delete)?;
        self.describe_change(change, known, call).await
    }

    async fn describe_change(&mut self, change: ChangeQuery, known: &[Option<SqlType>], call: &Call) -> Result<Described> {
        let read = self.read_time().await?;
        let mut query = change.query.clone();
        crate::session::time_clauses::drop_open_times(&mut query);
        let query = self.substitute(&query)?;
        let tables = self.tables(&query, call).await?;
        let environment = self.environment(read, tables, &call.text, &[]);
        let engine = self.node.engine.clone();
        let (mut types, _) = call.guard.run(engine.describe(&environment, &query, known)).await?;
        // `SET c = $1` says nothing of its type by itself: it is the column's.
        if let ast::SetExpr::Select(select) = change.query.query.body.as_ref() {
            for (item, index) in select.projection.iter().skip(2).zip(&change.assigned) {
                if let SelectItem::UnnamedExpr(ast::Expr::Value(value)) = item
                    && let ast::Value::Placeholder(name) = &value.value
                    && let Ok(number) = name.trim_start_matches('$').parse::<usize>()
                    && let Some(slot) = types.get_mut(number.wrapping_sub(1))
                {
                    *slot = change.table.columns().get(*index).map(|c| c.ty.clone());
                }
            }
        }
        Ok((types, None))
    }

    /// Runs the change; (rows matched, rows really different).
    async fn change_rows(&mut self, change: ChangeQuery, call: &Call) -> Result<(u64, u64)> {
        let own = self.begin_write().await?;
        let outcome = self.changed_delta(&change, call).await;
        let (delta, counts) = match outcome {
            Ok((delta, counts)) => (Ok(delta.into_iter().collect()), counts),
            Err(error) => (Err(error), (0, 0)),
        };
        self.end_write(own, delta).await?;
        Ok(counts)
    }

    async fn changed_delta(&mut self, change: &ChangeQuery, call: &Call) -> Result<(Option<Delta>, (u64, u64))> {
        let task = self.transactions.task().await?;
        let read = self.read_time().await?;
        let query = self.substitute(&change.query)?;
        let tables = self.tables(&query, call).await?;
        let environment = self.environment(read, tables, &call.text, &call.params);
        let engine = self.node.engine.clone();
        let work = async {
            let mut planned = engine.plan(&environment, &query).await?;
            let view = planned.target.take().ok_or_else(|| Error::internal("a change without its table"))?;
            let running = planned.run().await?;
            self.collect_change(change, &view, running, task).await
        };
        call.guard.run(work).await
    }

    async fn collect_change(
        &self,
        change: &ChangeQuery,
        view: &TableView,
        mut running: crate::engine::Running,
        task: TaskId,
    ) -> Result<(Option<Delta>, (u64, u64))> {
        let cold = self.node.engine.cold.clone();
        let mut hits = Hits::default();
        let mut delta = Delta::new(Arc::clone(&change.table));
        let mut sink = FileSink::new(cold.clone(), Arc::clone(&change.table), task)?;
        let mut changed = 0u64;
        while let Some(batch) = running.batches.try_next().await? {
            let fresh = hits.add(positions(&batch, 0)?, positions(&batch, 1)?);
            if change.assigned.is_empty() {
                continue;
            }
            let (rows, different) = self.new_rows(change, &batch, &fresh, sink.rows())?;
            changed += different;
            sink.write(&rows).await?;
        }
        if hits.is_empty() {
            return Ok((None, (0, 0)));
        }
        delta.files = sink.finish().await?;
        cold.remove_rows(view, &hits, task, &mut delta).await?;
        Ok((Some(delta), (hits.count(), changed)))
    }

    /// The new rows of an UPDATE, and how many of them differ from what they replace.
    fn new_rows(&self, change: &ChangeQuery, batch: &RecordBatch, fresh: &BooleanArray, first: u64) -> Result<(RecordBatch, u64)> {
        let columns = change.table.columns();
        let old_at = 2 + change.assigned.len();
        let mut row: Vec<ArrayRef> = (0..columns.len()).map(|i| Arc::clone(batch.column(old_at + i))).collect();
        let mut differs: Option<BooleanArray> = None;
        for (position, index) in change.assigned.iter().enumerate() {
            let value = coerce(batch.column(2 + position), &columns[*index], self.family(), &self.settings.zone, first)?;
            let this = distinct(&value, &row[*index]).map_err(|e| Error::internal(e.to_string()))?;
            differs = Some(match differs {
                Some(before) => or(&before, &this).map_err(|e| Error::internal(e.to_string()))?,
                None => this,
            });
            row[*index] = value;
        }
        let kept: Vec<ArrayRef> =
            row.iter().map(|c| filter(c, fresh)).collect::<Result<_, _>>().map_err(|e| Error::internal(e.to_string()))?;
        let different =
            differs.map_or(0, |d| d.iter().zip(fresh.iter()).filter(|(d, f)| *d == Some(true) && *f == Some(true)).count() as u64);
        let count = kept.first().map_or(0, |column| column.len());
        Ok((batch_of(change.table.columns(), kept, count)?, different))
    }
}

fn positions(batch: &RecordBatch, column: usize) -> Result<&UInt64Array> {
    batch.column(column).as_any().downcast_ref::<UInt64Array>().ok_or_else(|| Error::internal("a change lost its rows' positions"))
}
