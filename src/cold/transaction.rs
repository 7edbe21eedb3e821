//! A transaction over cold tables: what it has changed so far, and the one moment at which all of it becomes visible.
//!
//! Rows are staged in memory until they are many, then in files that no one else sees (in flight). COMMIT writes what
//! is left, and hands every new and every replaced file to the GMS as one change; the first committer of a replaced file
//! wins. A statement works on a [`Delta`] of its own, so that a failing statement leaves the transaction as it was.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;

use super::sink::{FileSink, Written};
use super::storage::Cold;
use crate::error::Result;
use crate::gms::{Change, FileId, Table, TableId, TaskId};
use crate::time::Tso;

/// What a transaction has changed of one table.
#[derive(Debug, Clone)]
pub struct Staged {
    /// The table as the transaction first saw it.
    pub table: Arc<Table>,
    /// New rows in memory: the table's columns, in order.
    pub batches: Vec<RecordBatch>,
    /// New files, durable and in flight.
    pub files: Vec<Written>,
    /// Files of the snapshot that are replaced.
    pub removed: HashSet<FileId>,
}

impl Staged {
    fn new(table: Arc<Table>) -> Staged {
        Staged { table, batches: Vec::new(), files: Vec::new(), removed: HashSet::new() }
    }

    fn bytes(&self) -> usize {
        self.batches.iter().map(RecordBatch::get_array_memory_size).sum()
    }
}

/// What one statement changes of one table.
#[derive(Debug)]
pub struct Delta {
    /// The table.
    pub table: Arc<Table>,
    /// New rows.
    pub batches: Vec<RecordBatch>,
    /// New files, durable and in flight.
    pub files: Vec<Written>,
    /// Files of the snapshot, or staged files, that are replaced.
    pub removed: Vec<FileId>,
    /// The rows staged in memory before are replaced by `batches`.
    pub replaces_memory: bool,
}

impl Delta {
    /// Nothing yet.
    pub fn new(table: Arc<Table>) -> Delta {
        Delta { table, batches: Vec::new(), files: Vec::new(), removed: Vec::new(), replaces_memory: false }
    }
}

/// One transaction.
#[derive(Debug)]
pub struct Transaction {
    /// The snapshot that all its statements read.
    pub read_time: Tso,
    cold: Cold,
    task: Option<TaskId>,
    tables: BTreeMap<TableId, Arc<Staged>>,
    savepoints: Vec<(String, BTreeMap<TableId, Arc<Staged>>)>,
}

impl Transaction {
    /// Begins at `read_time`.
    pub fn begin(cold: Cold, read_time: Tso) -> Transaction {
        Transaction { read_time, cold, task: None, tables: BTreeMap::new(), savepoints: Vec::new() }
    }

    /// Its changes of `table`.
    pub fn staged(&self, table: TableId) -> Option<Arc<Staged>> {
        self.tables.get(&table).cloned()
    }

    /// Has it changed anything?
    pub fn is_dirty(&self) -> bool {
        !self.tables.is_empty()
    }

    /// The task under which its files are registered.
    pub async fn task(&mut self) -> Result<TaskId> {
        match self.task {
            Some(task) => Ok(task),
            None => {
                let task = self.cold.gms.begin_task("transaction").await?;
                self.task = Some(task);
                Ok(task)
            }
        }
    }

    /// Makes a finished statement's changes part of the transaction; rows beyond the memory limit go to files.
    pub async fn apply(&mut self, delta: Delta) -> Result<()> {
        let id = delta.table.id;
        let mut staged = match self.tables.get(&id) {
            Some(staged) => Staged::clone(staged),
            None => Staged::new(Arc::clone(&delta.table)),
        };
        if delta.replaces_memory {
            staged.batches.clear();
        }
        for file in delta.removed {
            // A file of the transaction's own just disappears: it was never visible, and is swept with the task's garbage.
            let own = staged.files.iter().position(|f| f.version.id == file);
            match own {
                Some(index) => drop(staged.files.remove(index)),
                None => drop(staged.removed.insert(file)),
            }
        }
        staged.files.extend(delta.files);
        staged.batches.extend(delta.batches.into_iter().filter(|b| b.num_rows() > 0));
        if staged.bytes() > self.cold.settings.staging_bytes {
            self.flush(&mut staged).await?;
        }
        self.tables.insert(id, Arc::new(staged));
        Ok(())
    }

    async fn flush(&mut self, staged: &mut Staged) -> Result<()> {
        if staged.batches.is_empty() {
            return Ok(());
        }
        let task = self.task().await?;
        let mut sink = FileSink::new(self.cold.clone(), Arc::clone(&staged.table), task)?;
        for batch in &staged.batches {
            sink.write(batch).await?;
        }
        staged.files.extend(sink.finish().await?);
        staged.batches.clear();
        Ok(())
    }

    /// Remembers the present state under `name`. An older one of this name is gone, or with `keep` (PostgreSQL) hidden
    /// until the new one is released.
    pub fn savepoint(&mut self, name: &str, keep: bool) {
        if !keep {
            self.savepoints.retain(|(n, _)| n != name);
        }
        self.savepoints.push((name.to_owned(), self.tables.clone()));
    }

    /// Goes back to a savepoint; false when there is none of this name.
    pub fn rollback_to(&mut self, name: &str) -> bool {
        let Some(index) = self.savepoints.iter().rposition(|(n, _)| n == name) else { return false };
        self.tables = self.savepoints[index].1.clone();
        self.savepoints.truncate(index + 1);
        true
    }

    /// Forgets a savepoint; false when there is none of this name.
    pub fn release(&mut self, name: &str) -> bool {
        let Some(index) = self.savepoints.iter().rposition(|(n, _)| n == name) else { return false };
        self.savepoints.truncate(index);
        true
    }

    /// Makes everything visible at one new time. `at` sets the time, for building history only.
    ///
    /// Not cancel-safe: call it from a task that runs to its end. On an error nothing is visible.
    pub async fn commit(mut self, at: Option<Tso>) -> Result<Option<Tso>> {
        if self.tables.is_empty() {
            if let Some(task) = self.task {
                self.cold.gms.abandon(task).await?;
            }
            return Ok(None);
        }
        match self.try_commit(at).await {
            Ok(tso) => Ok(Some(tso)),
            Err(error) => {
                self.abandon().await;
                Err(error)
            }
        }
    }

    async fn try_commit(&mut self, at: Option<Tso>) -> Result<Tso> {
        crate::fault::point("cold.commit.begin");
        let mut change = Change { task: None, add: Vec::new(), remove: Vec::new(), expect_schema: Vec::new(), at };
        let tables: Vec<_> = self.tables.values().cloned().collect();
        for staged in tables {
            let mut staged = Staged::clone(&staged);
            self.flush(&mut staged).await?;
            change.expect_schema.push((staged.table.id, staged.table.schema_ts()));
            change.add.extend(staged.files.iter().map(Written::as_new_file));
            change.remove.extend(staged.removed.iter().map(|f| (staged.table.id, *f)));
        }
        change.task = self.task;
        crate::fault::point("cold.commit.files_durable");
        self.cold.gms.commit(change).await
    }

    /// Takes everything back.
    pub async fn rollback(self) {
        self.abandon().await;
    }

    async fn abandon(&self) {
        if let Some(task) = self.task
            && let Err(error) = self.cold.gms.abandon(task).await
        {
            // The sweeper finds the task's files after a restart at the latest.
            tracing::warn!(task = task.0, %error, "could not hand a transaction's files to the sweeper");
        }
    }
}
