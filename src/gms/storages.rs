//! File storages: registered, changed, dropped, cleared.

use std::sync::Arc;

use super::model::{FileStorage, PurgeResult, Table};
use super::queries::{self, CATALOG};
use super::{Gms, bin, ddl};
use crate::error::{Error, Kind, Result};
use crate::fault;

impl Gms {
    /// `CREATE FILESTORAGE`. One storage an engine name, one engine a URI; others are [`Kind::Refused`].
    pub async fn create_storage(&self, mut storage: FileStorage) -> Result<()> {
        self.inner
            .exclusive(|inner| async move {
                storage.engine = storage.engine.to_uppercase();
                ddl::check_name(&storage.engine)?;
                let catalog = inner.catalog();
                if catalog.storage(&storage.engine).is_some() {
                    return Err(Error::new(Kind::Refused, format!("file storage {} exists already", storage.engine))
                        .with_hint("CREATE FILESTORAGE .. IF NOT EXISTS leaves it as it is"));
                }
                check_uri(catalog.storages(), &storage)?;
                let _moment = inner.clock.commit_time().await?;
                let mut tx = inner.db.begin().await?;
                queries::storages::put(&mut tx, &storage).await?;
                let doubt = inner.make_durable(tx, &[CATALOG]).await?;
                inner.change_catalog(|catalog| catalog.put_storage(storage));
                doubt.settled();
                Ok(())
            })
            .await
    }

    /// Replaces a file storage of the same engine name.
    pub async fn update_storage(&self, mut storage: FileStorage) -> Result<()> {
        self.inner
            .exclusive(|inner| async move {
                storage.engine = storage.engine.to_uppercase();
                let catalog = inner.catalog();
                if catalog.require_storage(&storage.engine)?.uri != storage.uri {
                    check_uri(catalog.storages().filter(|s| s.engine != storage.engine), &storage)?;
                }
                let _moment = inner.clock.commit_time().await?;
                let mut tx = inner.db.begin().await?;
                queries::storages::put(&mut tx, &storage).await?;
                let doubt = inner.make_durable(tx, &[CATALOG]).await?;
                inner.change_catalog(|catalog| catalog.put_storage(storage));
                doubt.settled();
                Ok(())
            })
            .await
    }

    /// `DROP FILESTORAGE`: [`Kind::Refused`] while a table (in the recycle bin too), a file or undeleted garbage needs it.
    pub async fn drop_storage(&self, engine: &str) -> Result<()> {
        let engine = engine.to_uppercase();
        self.inner
            .exclusive(|inner| async move {
                let catalog = inner.catalog();
                catalog.require_storage(&engine)?;
                let tables = catalog.every_table().filter(|t| t.engine == engine).count();
                let files: u64 =
                    queries::purge::sums(&inner.db, queries::purge::of_engine(&engine)).await?.iter().map(|(_, sums)| sums.files).sum();
                let garbage = queries::purge::garbage_of(&inner.db, &engine).await?;
                if tables > 0 || files > 0 || garbage > 0 {
                    return Err(Error::new(
                        Kind::Refused,
                        format!(
                            "file storage {engine} is in use: {tables} tables (with those in the recycle bin), {files} file versions, \
                             {garbage} objects still to be deleted"
                        ),
                    )
                    .with_hint(format!("CLEAR FILESTORAGE {engine} ends all of them; objects go after the purge delay")));
                }
                let _moment = inner.clock.commit_time().await?;
                let mut tx = inner.db.begin().await?;
                queries::storages::drop_storage(&mut tx, &engine).await?;
                let doubt = inner.make_durable(tx, &[CATALOG]).await?;
                inner.change_catalog(|catalog| catalog.remove_storage(&engine));
                doubt.settled();
                Ok(())
            })
            .await
    }

    /// `CLEAR FILESTORAGE`: every table of the storage is gone for good, with all files; the storage itself stays.
    /// Files that it holds for tables of other storages are [`Kind::Refused`].
    pub async fn clear_storage(&self, engine: &str) -> Result<PurgeResult> {
        let engine = engine.to_uppercase();
        self.inner
            .exclusive(|inner| async move {
                let catalog = inner.catalog();
                catalog.require_storage(&engine)?;
                let tables: Vec<Arc<Table>> = catalog.every_table().filter(|t| t.engine == engine).cloned().collect();
                for id in queries::files::tables_of_engine(&inner.db, &engine).await? {
                    if !tables.iter().any(|t| t.id == id) {
                        let other = inner.table(id)?;
                        let why = format!("table {}.{} of storage {} has files in {engine}", other.database, other.name, other.engine);
                        return Err(Error::new(Kind::Refused, why).with_hint("drop and purge that table first"));
                    }
                }
                fault::point("gms.clear.before_tx");
                let result = bin::forget_tables(&inner, &tables).await?;
                fault::point("gms.clear.after_tx");
                Ok(result)
            })
            .await
    }
}

fn check_uri<'a>(mut others: impl Iterator<Item = &'a Arc<FileStorage>>, storage: &FileStorage) -> Result<()> {
    let place = place_of(&storage.uri);
    let shares = |other: &FileStorage| {
        let other = place_of(&other.uri);
        !place.is_empty() && !other.is_empty() && (place.starts_with(&other) || other.starts_with(&place))
    };
    match others.find(|s| shares(s)) {
        Some(other) if place_of(&other.uri) == place => {
            Err(Error::new(Kind::Refused, format!("file storage {} has this FILE_URI already", other.engine))
                .with_hint("give each storage a FILE_URI of its own"))
        }
        // CLEAR and the sweeper of one would reach the objects of the other.
        Some(other) => {
            Err(Error::new(Kind::Refused, format!("this FILE_URI and that of file storage {} lie within each other", other.engine))
                .with_hint("give each storage a FILE_URI of its own"))
        }
        None => Ok(()),
    }
}

/// A URI without its detours, ending with a slash, so that a prefix of the text is a folder above; empty stays empty.
fn place_of(uri: &str) -> String {
    let plain = url::Url::parse(uri).map_or_else(|_| uri.to_owned(), String::from);
    let plain = plain.trim_end_matches('/');
    if plain.is_empty() { String::new() } else { format!("{plain}/") }
}
