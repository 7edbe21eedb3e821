//! A cold table and a hot one of one name. Every session that comes through Flashgate sees the cold one, so that none is put
//! over a hot one unless it is asked for (OR SHADOW). Stand-ins are made for cold tables and do not count.

use std::collections::BTreeSet;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;

use super::stand_ins::{ALIAS, StandInLocation, UpstreamRelation, literal};
use super::{Answer, STAND_IN_COMMENT};
use crate::error::{Error, Kind, Result};
use crate::session::state::Session;
use crate::types::{Family, SqlType, fold, same};

/// So many names are asked for.
const MOST_NAMES: usize = 10_000;

impl Session {
    /// Refuses a name that a hot table has.
    pub(in crate::session) async fn check_not_hot(&self, database: &str, name: &str) -> Result<()> {
        if self.has_hot(database, name).await? { Err(self.is_hot_error(name)) } else { Ok(()) }
    }

    /// UpstreamRelation the upstream a table or view of this name, as far as the client may see?
    pub(in crate::session) async fn has_hot(&self, database: &str, name: &str) -> Result<bool> {
        if !self.has_upstream() {
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
        let location = StandInLocation { schema: schema.to_owned(), name: name.to_owned(), columns: None };
        let (question, columns) = match self.family() {
            Family::MySql => (self.relation_question(&location), 3),
            Family::Postgres => (relation(&location), 2),
        };
        let mut answers: Vec<Answer> = Vec::new();
        let take = |batch: RecordBatch| {
            answers.extend(texts(&batch)?);
            Ok(())
        };
        // Whoever runs a statement without a client has no way to ask.
        let Some(upstream) = self.upstream.handle.clone() else { return Ok(false) };
        upstream.rows(question, vec![SqlType::Text; columns], take).await?;
        Ok(self.upstream_relation(&answers) == UpstreamRelation::Other)
    }

    /// Which of the names of cold tables are hot ones', too? The third cell of each row is NULL. Stand-ins are not among them.
    pub(in crate::session) fn hot_question(&self) -> String {
        let catalog = self.node.gms.catalog();
        let tables = catalog.all_tables().map(|table| (&table.database, &table.name));
        let names: Vec<_> = tables.chain(catalog.all_views().map(|view| (&view.database, &view.name))).take(MOST_NAMES).collect();
        match self.family() {
            Family::MySql => {
                let digits = |text: &str| format!("CONVERT(X'{}' USING utf8mb4)", hex::encode(text));
                let schemas: BTreeSet<String> = names.iter().map(|(database, _)| digits(database)).collect();
                let names: BTreeSet<String> = names.iter().map(|(_, name)| digits(name)).collect();
                let list =
                    |of: BTreeSet<String>| if of.is_empty() { "NULL".to_owned() } else { of.into_iter().collect::<Vec<_>>().join(", ") };
                format!(
                    // The definition of a view that the user may not see is empty: it may be a stand-in.
                    "SELECT HEX(CONVERT(t.TABLE_SCHEMA USING utf8mb4)), HEX(CONVERT(t.TABLE_NAME USING utf8mb4)), NULL \
                     FROM information_schema.TABLES t WHERE t.TABLE_SCHEMA IN ({}) AND t.TABLE_NAME IN ({}) AND (t.TABLE_TYPE <> 'VIEW' OR EXISTS \
                     (SELECT 1 FROM information_schema.VIEWS v WHERE v.TABLE_SCHEMA = t.TABLE_SCHEMA AND v.TABLE_NAME = t.TABLE_NAME \
                     AND v.VIEW_DEFINITION <> '' AND LOCATE('{ALIAS}', v.VIEW_DEFINITION) = 0))",
                    list(schemas),
                    list(names)
                )
            }
            Family::Postgres => {
                let names: BTreeSet<String> = names.iter().map(|(_, name)| literal(&fold(name))).collect();
                format!(
                    "SELECT n.nspname, c.relname, NULL FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                     WHERE pg_catalog.lower(c.relname::pg_catalog.text) = ANY (ARRAY[{}]::pg_catalog.text[]) AND c.relkind IN ('r', 'p', 'm', 'f', 'v') \
                     AND coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), '') NOT LIKE '{STAND_IN_COMMENT}%'",
                    names.into_iter().collect::<Vec<_>>().join(", ")
                )
            }
        }
    }

    /// Does a cold table hide this table of the upstream's? The log is told of each once.
    pub(in crate::session) fn is_hidden(&self, schema: &str, name: &str) -> bool {
        let parts = [schema.to_owned(), name.to_owned()];
        let Ok((database, name)) = self.namespace().table(&parts) else { return false };
        let catalog = self.node.gms.catalog();
        let hides = catalog.table(&database, &name).is_some() || catalog.view(&database, &name).is_some();
        if hides && self.node.hidden_hot.lock().insert(format!("{database}.{name}")) {
            tracing::warn!(database, table = name, "the upstream has a table or view of the name of a cold table, which hides it");
        }
        hides
    }

    /// The upstream has a table in `public` of the name of a cold one: tells the log and the client. False: the cold one is not there.
    pub fn warn_of_hidden(&mut self, name: &str) -> bool {
        let hides = self.is_hidden("public", name);
        if hides {
            self.diagnostics
                .warn(0, format!("the cold table \"{name}\" hides a table or view of this name in the database behind Flashgate"));
        }
        hides
    }

    pub(in crate::session) fn is_hot_error(&self, name: &str) -> Error {
        Error::new(Kind::TableExists, self.exists(name)).with_hint(
            "the database behind Flashgate has it, and a cold table would hide it from everyone; \
             CREATE OR SHADOW TABLE (or VIEW) does so",
        )
    }

    pub(in crate::session) fn exists(&self, name: &str) -> String {
        match self.family() {
            Family::MySql => format!("Table '{name}' already exists"),
            Family::Postgres => format!("relation \"{name}\" already exists"),
        }
    }
}

/// Names of cold tables have no case.
fn relation(location: &StandInLocation) -> String {
    format!(
        "SELECT c.relkind::pg_catalog.text, pg_catalog.obj_description(c.oid, 'pg_class') \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
         WHERE pg_catalog.lower(n.nspname::pg_catalog.text) OPERATOR(pg_catalog.=) pg_catalog.lower({}) \
         AND pg_catalog.lower(c.relname::pg_catalog.text) OPERATOR(pg_catalog.=) pg_catalog.lower({}) \
         AND c.relkind::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{{r,p,v,m,f}}'::pg_catalog.text[])",
        literal(&location.schema),
        literal(&location.name)
    )
}

fn texts(batch: &RecordBatch) -> Result<Vec<Answer>> {
    let columns = batch.columns().iter().map(|column| cast(column, &DataType::Utf8));
    let columns = columns.collect::<std::result::Result<Vec<_>, _>>().map_err(|error| Error::internal(error.to_string()))?;
    let cell = |column: &dyn Array, row: usize| column.is_valid(row).then(|| column.as_string::<i32>().value(row).to_owned());
    Ok((0..batch.num_rows()).map(|row| columns.iter().map(|column| cell(column.as_ref(), row)).collect()).collect())
}
