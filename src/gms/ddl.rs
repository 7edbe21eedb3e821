//! Databases, tables and views: each change one moment.

use std::collections::HashSet;
use std::sync::Arc;

use super::clock::Moment;
use super::model::{Database, NewTable, SchemaVersion, Table, TableId, View};
use super::queries::{self, CATALOG};
use super::state::Inner;
use super::{Catalog, Gms};
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::time::Tso;
use crate::types::{Column, fold};

/// The longest name that a MySQL client may know.
const MAX_NAME: usize = 64;

impl Gms {
    /// `CREATE DATABASE`. [`Kind::DatabaseExists`] when the name is taken.
    pub async fn create_database(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.inner
            .exclusive(|inner| async move {
                check_name(&name)?;
                if inner.catalog().database(&name).is_some() {
                    return Err(Error::new(Kind::DatabaseExists, format!("Can't create database '{name}'; database exists")));
                }
                let moment = inner.clock.commit_time().await?;
                let database = Database { name, created: moment.ts() };
                let mut tx = inner.db.begin().await?;
                queries::tables::create_database(&mut tx, &database).await?;
                let doubt = inner.make_durable(tx, &[CATALOG]).await?;
                inner.change_catalog(|catalog| catalog.put_database(database));
                doubt.settled();
                Ok(())
            })
            .await
    }

    /// `DROP DATABASE` of one without tables and views; others are [`Kind::Refused`].
    pub async fn drop_database(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.inner
            .exclusive(|inner| async move {
                let catalog = inner.catalog();
                catalog.require_database(&name)?;
                let (tables, views) = (catalog.tables(&name).count(), catalog.views(&name).count());
                if tables + views > 0 {
                    return Err(Error::new(Kind::Refused, format!("database '{name}' still has {tables} tables and {views} views"))
                        .with_hint("drop them first; dropped tables stay in the recycle bin"));
                }
                let _moment = inner.clock.commit_time().await?;
                let mut tx = inner.db.begin().await?;
                queries::tables::drop_database(&mut tx, &name).await?;
                let doubt = inner.make_durable(tx, &[CATALOG]).await?;
                inner.change_catalog(|catalog| catalog.remove_database(&name));
                doubt.settled();
                Ok(())
            })
            .await
    }

    /// `CREATE TABLE`. Its first schema version is of the moment of creation. [`Kind::TableExists`] when a table or view has
    /// the name; unknown database or file storage are errors.
    pub async fn create_table(&self, new: NewTable) -> Result<Arc<Table>> {
        self.inner.exclusive(|inner| create_table(inner, new)).await
    }

    /// `ALTER TABLE`: new columns from now on. [`Kind::WriteConflict`] when the newest schema is not `expect_schema`.
    pub async fn alter_columns(&self, table: TableId, expect_schema: Tso, columns: Vec<Column>) -> Result<Arc<Table>> {
        self.inner
            .exclusive(move |inner| async move {
                let table = inner.live_table(table)?;
                if table.schema_ts() != expect_schema {
                    let why = format!("write conflict: somebody altered {}.{} meanwhile", table.database, table.name);
                    return Err(Error::new(Kind::WriteConflict, why).with_hint("run the statement again"));
                }
                check_columns(&columns)?;
                fault::point("gms.alter.before_tx");
                let moment = inner.clock.commit_time().await?;
                let mut tx = inner.db.begin().await?;
                let schema = SchemaVersion { ts: moment.ts(), columns };
                let altered = queries::tables::add_schema(&mut tx, Table::clone(&table), schema).await?;
                let doubt = inner.make_durable(tx, &[CATALOG]).await?;
                let altered = inner.change_catalog(|catalog| catalog.put_table(altered));
                doubt.settled();
                drop(moment);
                fault::point("gms.alter.after_tx");
                Ok(altered)
            })
            .await
    }

    /// `RENAME TABLE`, also to another database. Files, history and schema stay.
    pub async fn rename_table(&self, table: TableId, database: &str, name: &str) -> Result<()> {
        let (database, name) = (database.to_owned(), name.to_owned());
        self.inner
            .exclusive(move |inner| async move {
                let table = inner.live_table(table)?;
                let catalog = inner.catalog();
                let database = catalog.require_database(&database)?.name.clone();
                check_name(&name)?;
                let only_case = fold(&table.database) == fold(&database) && fold(&table.name) == fold(&name);
                if !only_case {
                    check_free(&catalog, &database, &name)?;
                }
                fault::point("gms.rename.before_tx");
                let moment = inner.clock.commit_time().await?;
                let mut tx = inner.db.begin().await?;
                let renamed = queries::tables::rename(&mut tx, &table, &database, &name, None).await?;
                queries::files::rename(&mut tx, table.id, &database, &name).await?;
                let doubt = inner.make_durable(tx, &[CATALOG]).await?;
                inner.change_catalog(|catalog| catalog.put_table(renamed));
                doubt.settled();
                drop(moment);
                fault::point("gms.rename.after_tx");
                Ok(())
            })
            .await
    }

    /// `CREATE [OR REPLACE] VIEW`. `dialect` is `mysql` or `postgres`.
    pub async fn create_view(&self, database: &str, name: &str, definition: &str, dialect: &str, or_replace: bool) -> Result<()> {
        let view = View {
            database: database.to_owned(),
            name: name.to_owned(),
            definition: definition.to_owned(),
            dialect: dialect.to_owned(),
            created: Tso::MIN,
        };
        self.inner
            .exclusive(move |inner| async move {
                let catalog = inner.catalog();
                let database = catalog.require_database(&view.database)?.name.clone();
                check_name(&view.name)?;
                if !(or_replace && catalog.view(&database, &view.name).is_some()) {
                    check_free(&catalog, &database, &view.name)?;
                }
                let moment = inner.clock.commit_time().await?;
                let view = View { database, created: moment.ts(), ..view };
                let mut tx = inner.db.begin().await?;
                queries::tables::put_view(&mut tx, &view).await?;
                let doubt = inner.make_durable(tx, &[CATALOG]).await?;
                inner.change_catalog(|catalog| catalog.put_view(view));
                doubt.settled();
                Ok(())
            })
            .await
    }

    /// `DROP VIEW`. [`Kind::UnknownTable`] when there is none.
    pub async fn drop_view(&self, database: &str, name: &str) -> Result<()> {
        let (database, name) = (database.to_owned(), name.to_owned());
        self.inner
            .exclusive(move |inner| async move {
                if inner.catalog().view(&database, &name).is_none() {
                    return Err(Error::new(Kind::UnknownTable, format!("Unknown view '{database}.{name}'")));
                }
                let _moment = inner.clock.commit_time().await?;
                let mut tx = inner.db.begin().await?;
                queries::tables::drop_view(&mut tx, &database, &name).await?;
                let doubt = inner.make_durable(tx, &[CATALOG]).await?;
                inner.change_catalog(|catalog| catalog.remove_view(&database, &name));
                doubt.settled();
                Ok(())
            })
            .await
    }
}

async fn create_table(inner: Arc<Inner>, mut new: NewTable) -> Result<Arc<Table>> {
    let catalog = inner.catalog();
    new.database = catalog.require_database(&new.database)?.name.clone();
    new.engine = catalog.require_storage(&new.engine)?.engine.clone();
    check_name(&new.name)?;
    check_free(&catalog, &new.database, &new.name)?;
    check_columns(&new.columns)?;
    fault::point("gms.create_table.before_tx");
    let (moment, at): (Option<Moment>, Tso) = match new.at {
        Some(at) if at > inner.clock.now() => {
            return Err(Error::new(Kind::Refused, format!("a table cannot be created in the future ({at:?})")));
        }
        Some(at) => (None, at),
        None => {
            let moment = inner.clock.commit_time().await?;
            let at = moment.ts();
            (Some(moment), at)
        }
    };
    let mut tx = inner.db.begin().await?;
    let table = queries::tables::create_table(&mut tx, new, at).await?;
    let doubt = inner.make_durable(tx, &[CATALOG]).await?;
    let table = inner.change_catalog(|catalog| catalog.put_table(table));
    doubt.settled();
    drop(moment);
    fault::point("gms.create_table.after_tx");
    Ok(table)
}

/// Is the name one that both wires can carry?
pub fn check_name(name: &str) -> Result<()> {
    let bad = |why: &str| Error::new(Kind::WrongValue, format!("the name '{name}' {why}"));
    if name.trim().is_empty() {
        return Err(bad("is empty"));
    }
    if name.chars().count() > MAX_NAME {
        return Err(bad(&format!("is longer than {MAX_NAME} characters")));
    }
    if name.contains('\0') {
        return Err(bad("has a zero byte"));
    }
    Ok(())
}

/// Tables and views share their names.
pub fn check_free(catalog: &Catalog, database: &str, name: &str) -> Result<()> {
    if catalog.table(database, name).is_some() || catalog.view(database, name).is_some() {
        return Err(Error::new(Kind::TableExists, format!("Table '{name}' already exists")));
    }
    Ok(())
}

fn check_columns(columns: &[Column]) -> Result<()> {
    if columns.is_empty() {
        return Err(Error::new(Kind::WrongValue, "a table needs at least one column"));
    }
    let (mut names, mut ids) = (HashSet::new(), HashSet::new());
    for column in columns {
        check_name(&column.name)?;
        if !names.insert(fold(&column.name)) {
            return Err(Error::new(Kind::Duplicate, format!("Duplicate column name '{}'", column.name)));
        }
        if !ids.insert(column.id) {
            return Err(Error::internal(format!("column id {} is used twice", column.id)));
        }
    }
    Ok(())
}
