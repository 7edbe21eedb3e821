//! `ALTER TABLE t ADD FILE 'uri'`: takes in an ORC file that someone else wrote.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use futures::TryStreamExt;
use jiff::tz::TimeZone;

use super::sink::FileSink;
use super::storage::Cold;
use super::transaction::Delta;
use crate::error::{Error, Kind, Result};
use crate::gms::{Table, TaskId};
use crate::orc::{OrcFile, ScanColumn, ScanRequest};
use crate::store::{ForeignObject, StorageSpec, scrub};
use crate::types::coerce::{check, coerce};
use crate::types::rows::whole_rows;
use crate::types::{Column, Family, fold};

/// A column of a file: its place in the table, and how it is read.
type Matched = (usize, ScanColumn);

/// The session in whose way values are read.
#[derive(Clone, Copy)]
struct Reader<'a> {
    family: Family,
    zone: &'a TimeZone,
    uri: &'a str,
}

impl Cold {
    /// The objects that `uri` names (a file, a folder, a pattern), with the options of the table's own storage.
    pub async fn foreign_objects(&self, table: &Table, uri: &str) -> Result<Vec<ForeignObject>> {
        let catalog = self.gms.catalog();
        let storage = catalog.storage(&table.engine).ok_or_else(|| super::storage::unknown_storage(&table.engine))?;
        let like = StorageSpec { engine: table.engine.clone(), uri: storage.uri.clone(), options: storage.options.clone() };
        self.stores.foreign_objects(&like, uri).await
    }

    /// Reads the file and writes its rows as files of `table`.
    ///
    /// The rows are copied rather than linked: a file that others may change or delete could not keep rule 1. One that is
    /// replaced meanwhile is an error. Columns are found by name without case. Without a list (`only`) all columns of the
    /// file are taken, and one that the table lacks is an error, since its data would be lost silently; with one, the others
    /// are not looked at. A column of the table that is not taken gets NULL or its default. Values and defaults become what
    /// an INSERT of a session of `family` in `zone` makes of them, or its error.
    pub async fn adopt(
        &self,
        table: Arc<Table>,
        object: &ForeignObject,
        only: &[String],
        task: TaskId,
        family: Family,
        zone: &TimeZone,
    ) -> Result<(Delta, u64)> {
        let uri = scrub(&object.uri);
        let file = OrcFile::open_foreign(Arc::clone(&object.store), &object.path, &uri).await?;
        let columns = table.columns();
        let matched = matched(&file, &uri, &table, only)?;
        let request = ScanRequest {
            columns: matched.iter().map(|(_, c)| c.clone()).collect(),
            filter: None,
            stripes: None,
            batch_size: 8192,
            limit: None,
        };
        let reader = Reader { family, zone, uri: &uri };
        let mut rows = file.scan(request);
        let mut sink = FileSink::new(self.clone(), Arc::clone(&table), task)?;
        while let Some(batch) = rows.try_next().await? {
            let given = matched.iter().map(|(index, _)| *index).zip(batch.columns().iter().cloned()).collect();
            let batch = reader.whole_rows(columns, &given, batch.num_rows(), sink.rows())?;
            sink.write(&batch).await?;
        }
        file.check_unchanged().await?;
        let count = sink.rows();
        let mut delta = Delta::new(table);
        delta.files = sink.finish().await?;
        Ok((delta, count))
    }
}

/// The columns to take, each with its place in the table.
fn matched(file: &OrcFile, uri: &str, table: &Table, only: &[String]) -> Result<Vec<Matched>> {
    let columns = table.columns();
    let in_file = file.foreign_columns();
    let mut matched: Vec<Matched> = Vec::new();
    let mut take = |name: String, ty: Result<crate::types::SqlType>| {
        let ty = ty.map_err(|error| error.with_hint("name the columns to take, without this one: ADD FILE '..' (a, b)"))?;
        let index = columns.iter().position(|c| fold(&c.name) == fold(&name)).ok_or_else(|| {
            Error::new(Kind::UnknownColumn, format!("{uri} has a column '{name}' that table {} lacks", table.name))
                .with_hint("add the column to the table first, or name the columns to take: ADD FILE '..' (a, b)")
        })?;
        if matched.iter().any(|(taken, _)| *taken == index) {
            return Err(Error::new(Kind::Duplicate, format!("{uri} has two columns '{name}'")));
        }
        // Read as what the file holds, which becomes in the table what an INSERT makes of it. But bytes are taken as they
        // are, whatever the file calls them.
        let want = if columns[index].ty.is_binary() && ty.is_text() { DataType::Binary } else { ty.arrow() };
        matched.push((index, ScanColumn { name, want }));
        Ok(())
    };
    if only.is_empty() {
        in_file.into_iter().try_for_each(|(name, ty)| take(name, ty))?;
        return Ok(matched);
    }
    for (at, name) in only.iter().enumerate() {
        if only[..at].iter().any(|other| fold(other) == fold(name)) {
            return Err(Error::new(Kind::SpecifiedTwice, format!("Column '{name}' specified twice")));
        }
        if !columns.iter().any(|c| fold(&c.name) == fold(name)) {
            return Err(Error::new(Kind::UnknownColumn, format!("Unknown column '{name}' in '{}'", table.name)));
        }
        let mut found = in_file.iter().filter(|(column, _)| fold(column) == fold(name)).peekable();
        if found.peek().is_none() {
            return Err(Error::new(Kind::UnknownColumn, format!("{uri} has no column '{name}'")));
        }
        found.cloned().try_for_each(|(name, ty)| take(name, ty))?;
    }
    Ok(matched)
}

impl Reader<'_> {
    /// Rows of the table from columns of the file; `first` rows of it came before.
    fn whole_rows(self, columns: &[Column], given: &BTreeMap<usize, ArrayRef>, rows: usize, first: u64) -> Result<RecordBatch> {
        let taken = given.iter().try_for_each(|(index, values)| self.check_source(values, &columns[*index], first));
        let whole = taken.and_then(|()| whole_rows(columns, given, rows, first, self.family, self.zone));
        let checked = whole.and_then(|batch| {
            given.keys().try_for_each(|index| check(batch.column(*index), &columns[*index], self.family, self.zone, first))?;
            Ok(batch)
        });
        checked.map_err(|error| self.located(error, columns, given, rows, first))
    }

    /// A decimal of more digits than the file declares may still be a value of the column.
    fn check_source(self, values: &ArrayRef, column: &Column, first: u64) -> Result<()> {
        if matches!(values.data_type(), DataType::Decimal128(..)) { Ok(()) } else { check(values, column, self.family, self.zone, first) }
    }

    /// The same error with the column and the row of the first value that gives it: PostgreSQL's sentences name neither.
    fn located(self, error: Error, columns: &[Column], given: &BTreeMap<usize, ArrayRef>, rows: usize, first: u64) -> Error {
        for row in 0..rows {
            for (index, values) in given {
                let (column, value, at) = (&columns[*index], values.slice(row, 1), first + row as u64);
                let outcome = self
                    .check_source(&value, column, at)
                    .and_then(|()| coerce(&value, column, self.family, self.zone, at))
                    .and_then(|array| check(&array, column, self.family, self.zone, at));
                if let Err(found) = outcome {
                    let text = format!("{} (column '{}', row {} of {})", found.message(), column.name, at + 1, self.uri);
                    let located = Error::new(found.kind(), text);
                    return match found.hint() {
                        Some(hint) => located.with_hint(hint),
                        None => located,
                    };
                }
            }
        }
        error
    }
}
