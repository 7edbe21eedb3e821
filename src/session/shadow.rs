//! A cold table and a hot one of one name. Every session that comes through Flashgate sees the cold one, so that none is put
//! over a hot one unless it is asked for (OR SHADOW). Stand-ins are made for cold tables and do not count.

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;

use super::stand_ins::{Answer, Has, Place, literal};
use super::state::Session;
use crate::error::{Error, Kind, Result};
use crate::types::{Family, SqlType, same};

impl Session {
    /// Refuses a name that a hot table has.
    pub(super) async fn check_not_hot(&self, database: &str, name: &str) -> Result<()> {
        if self.has_hot(database, name).await? { Err(self.is_hot_error(name)) } else { Ok(()) }
    }

    /// Has the upstream a table or view of this name, as far as the client may see?
    pub(super) async fn has_hot(&self, database: &str, name: &str) -> Result<bool> {
        if !self.is_behind() {
            return Ok(false);
        }
        let schema = match (self.family(), self.namespace().database) {
            (Family::MySql, _) => database,
            (Family::Postgres, None) => return Ok(false),
            // Tables of other databases cannot be asked for.
            (Family::Postgres, Some(current)) => match database.get(..current.len()).filter(|start| same(start, &current)) {
                Some(_) if database.len() == current.len() => "public",
                Some(_) => match database[current.len()..].strip_prefix('.') {
                    Some(schema) => schema,
                    None => return Ok(false),
                },
                None => return Ok(false),
            },
        };
        let place = Place { schema: schema.to_owned(), name: name.to_owned(), columns: None };
        let (question, columns) = match self.family() {
            Family::MySql => (self.question(&place), 3),
            Family::Postgres => (relation(&place), 2),
        };
        let mut answers: Vec<Answer> = Vec::new();
        let take = |batch: RecordBatch| {
            answers.extend(texts(&batch)?);
            Ok(())
        };
        self.lane()?.rows(question, vec![SqlType::Text; columns], take).await?;
        Ok(self.has(&answers) == Has::Other)
    }

    pub(super) fn is_hot_error(&self, name: &str) -> Error {
        Error::new(Kind::TableExists, self.exists(name)).with_hint(
            "the database behind Flashgate has it, and a cold table would hide it from everyone; \
             CREATE OR SHADOW TABLE (or VIEW) does so",
        )
    }

    pub(super) fn exists(&self, name: &str) -> String {
        match self.family() {
            Family::MySql => format!("Table '{name}' already exists"),
            Family::Postgres => format!("relation \"{name}\" already exists"),
        }
    }
}

/// Names of cold tables have no case.
fn relation(place: &Place) -> String {
    format!(
        "SELECT c.relkind::pg_catalog.text, pg_catalog.obj_description(c.oid, 'pg_class') \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
         WHERE pg_catalog.lower(n.nspname::pg_catalog.text) OPERATOR(pg_catalog.=) pg_catalog.lower({}) \
         AND pg_catalog.lower(c.relname::pg_catalog.text) OPERATOR(pg_catalog.=) pg_catalog.lower({}) \
         AND c.relkind::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{{r,p,v,m,f}}'::pg_catalog.text[])",
        literal(&place.schema),
        literal(&place.name)
    )
}

fn texts(batch: &RecordBatch) -> Result<Vec<Answer>> {
    let columns = batch.columns().iter().map(|column| cast(column, &DataType::Utf8));
    let columns = columns.collect::<std::result::Result<Vec<_>, _>>().map_err(|error| Error::internal(error.to_string()))?;
    let cell = |column: &dyn Array, row: usize| column.is_valid(row).then(|| column.as_string::<i32>().value(row).to_owned());
    Ok((0..batch.num_rows()).map(|row| columns.iter().map(|column| cell(column.as_ref(), row)).collect()).collect())
}
