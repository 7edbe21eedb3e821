//! The recycle bin: DROP TABLE puts a table there with its whole history; FLASHBACK TABLE brings it back, a purge ends it.

use std::sync::Arc;

use rand::Rng;

use super::model::{Binned, PurgeResult, Table, TableId};
use super::queries::{self, CATALOG, FILES};
use super::state::Inner;
use super::{Gms, ddl};
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::types::{fold, same};

/// What names in the recycle bin begin with.
pub const BIN_PREFIX: &str = "FILE_STORAGE_BIN_";
const BIN_RANDOM: usize = 20;
const BIN_ALPHABET: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

impl Gms {
    /// `DROP TABLE`: the table goes to the recycle bin, whose name for it is returned; its own name becomes free. Its
    /// files stay as they are.
    pub async fn drop_table(&self, table: TableId) -> Result<String> {
        self.inner
            .exclusive(move |inner| async move {
                let table = inner.live_table(table)?;
                let bin_name = new_bin_name();
                fault::point("gms.drop_table.before_tx");
                let moment = inner.clock.commit_time().await?;
                let mut tx = inner.db.begin().await?;
                let binned = queries::tables::rename(&mut tx, &table, &table.database, &bin_name, Some(moment.ts())).await?;
                queries::tables::enter_bin(&mut tx, &binned, &table.name, moment.ts()).await?;
                fault::point("gms.drop_table.in_tx");
                let doubt = inner.make_durable(tx, &[CATALOG, FILES]).await?;
                inner.change_catalog(|catalog| catalog.put_table(binned));
                doubt.settled();
                drop(moment);
                fault::point("gms.drop_table.after_tx");
                Ok(bin_name)
            })
            .await
    }

    /// `SHOW RECYCLEBIN`, oldest first.
    pub async fn recycle_bin(&self) -> Result<Vec<Binned>> {
        queries::tables::bin(&self.inner.db).await
    }

    /// `FLASHBACK TABLE .. TO BEFORE DROP [RENAME TO ..]`, named by the bin's name or by the original one (then the table
    /// dropped last). [`Kind::TableExists`] when its name is taken meanwhile.
    pub async fn flashback_table(&self, database: &str, bin_or_original_name: &str, rename_to: Option<&str>) -> Result<Arc<Table>> {
        let (database, wanted, rename_to) = (database.to_owned(), bin_or_original_name.to_owned(), rename_to.map(str::to_owned));
        self.inner
            .exclusive(move |inner| async move {
                let binned = find(&inner, Some(&database), &wanted).await?;
                let catalog = inner.catalog();
                let table = inner.table(binned.table)?;
                catalog.require_database(&binned.database)?;
                let name = rename_to.unwrap_or(binned.original_name);
                ddl::check_name(&name)?;
                ddl::check_free(&catalog, &binned.database, &name)
                    .map_err(|e| e.with_hint(format!("FLASHBACK TABLE {} TO BEFORE DROP RENAME TO another_name", table.name)))?;
                fault::point("gms.flashback.before_tx");
                let moment = inner.clock.commit_time().await?;
                let mut tx = inner.db.begin().await?;
                queries::tables::leave_bin(&mut tx, &table).await?;
                let back = queries::tables::rename(&mut tx, &table, &table.database, &name, None).await?;
                queries::files::rename(&mut tx, table.id, &table.database, &name).await?;
                let doubt = inner.make_durable(tx, &[CATALOG, FILES]).await?;
                let back = inner.change_catalog(|catalog| catalog.put_table(back));
                doubt.settled();
                drop(moment);
                fault::point("gms.flashback.after_tx");
                Ok(back)
            })
            .await
    }

    /// `PURGE TABLE bin` (by the bin's name or the original one) or, without a name, `PURGE RECYCLEBIN` (of one database
    /// or of all): the tables are gone for good, their objects become garbage.
    pub async fn purge_binned(&self, database: Option<&str>, name: Option<&str>) -> Result<PurgeResult> {
        let (database, name) = (database.map(str::to_owned), name.map(str::to_owned));
        self.inner
            .exclusive(move |inner| async move {
                let doomed: Vec<Binned> = match &name {
                    Some(name) => vec![find(&inner, database.as_deref(), name).await?],
                    None => {
                        let all = queries::tables::bin(&inner.db).await?;
                        all.into_iter().filter(|b| database.as_deref().is_none_or(|d| same(d, &b.database))).collect()
                    }
                };
                let tables = doomed.iter().map(|b| inner.table(b.table)).collect::<Result<Vec<_>>>()?;
                fault::point("gms.purge_binned.before_tx");
                let result = forget_tables(&inner, &tables).await?;
                fault::point("gms.purge_binned.after_tx");
                Ok(result)
            })
            .await
    }
}

fn new_bin_name() -> String {
    let mut random = rand::rng();
    let tail = (0..BIN_RANDOM).map(|_| char::from(BIN_ALPHABET[random.random_range(0..BIN_ALPHABET.len())]));
    BIN_PREFIX.chars().chain(tail).collect()
}

async fn find(inner: &Inner, database: Option<&str>, wanted: &str) -> Result<Binned> {
    let bin = queries::tables::bin(&inner.db).await?;
    let here = |b: &&Binned| database.is_none_or(|d| same(d, &b.database));
    let by_name = bin.iter().filter(here).find(|b| fold(&b.name) == fold(wanted));
    let by_original = || bin.iter().filter(here).filter(|b| fold(&b.original_name) == fold(wanted)).max_by_key(|b| b.created);
    by_name.or_else(by_original).cloned().ok_or_else(|| {
        Error::new(Kind::UnknownTable, format!("the recycle bin has no table '{wanted}'")).with_hint("SHOW RECYCLEBIN lists what it has")
    })
}

/// Ends tables for good, with all their files. The caller runs alone.
pub async fn forget_tables(inner: &Arc<Inner>, tables: &[Arc<Table>]) -> Result<PurgeResult> {
    let ids = || tables.iter().map(|t| t.id);
    let rows = queries::purge::of_tables(ids());
    let mut sums = queries::purge::Sums::default();
    queries::purge::sums(&inner.db, rows.clone()).await?.into_iter().for_each(|(_, more)| sums += more);
    let mut tx = inner.db.begin().await?;
    let (files, objects) = queries::purge::delete(&mut tx, rows, inner.due()).await?;
    for table in tables {
        queries::tables::forget(&mut tx, table).await?;
        queries::purge::forget_table(&mut tx, table.id).await?;
    }
    let doubt = inner.make_durable(tx, &[CATALOG, FILES]).await?;
    inner.change_catalog(|catalog| ids().for_each(|id| catalog.remove_table(id)));
    inner.forget_files(ids());
    doubt.settled();
    Ok(PurgeResult { files, rows: sums.rows, bytes: sums.bytes, objects, tables: tables.len() as u64, horizon: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bin_names_are_the_prefix_and_twenty_characters() {
        let (a, b) = (new_bin_name(), new_bin_name());
        let tail = a.strip_prefix(BIN_PREFIX).unwrap();
        assert!(tail.len() == 20 && tail.bytes().all(|c| BIN_ALPHABET.contains(&c)), "{a}");
        assert_ne!(a, b);
    }
}
