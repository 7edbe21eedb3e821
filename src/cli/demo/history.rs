//! The demo's history: commits whose times lie in the summer of 2022.
//!
//! It is built once, by the same transactions that sessions use, only with their times given. Until it is complete it
//! lies in a database of another name: a process that died on the way starts again, and a database `demo` is never
//! touched, whatever its owner has made of it.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;

use super::data::{CUSTOMERS, Customer, EARLY_JULY, JUNE, LATER, NEW_CUSTOMERS, Order};
use super::rows::{Row, batch};
use crate::cold::{Cold, Delta, FileSink, Transaction};
use crate::error::{Error, Kind, Result};
use crate::gms::{FileId, Gms, NewTable, Table};
use crate::node::Node;
use crate::store::DEFAULT_ENGINE;
use crate::time::Tso;

/// The database with the sample data.
pub const DATABASE: &str = "demo";
/// Where it is built.
const UNFINISHED: &str = "demo__unfinished";
/// The tables were made at this time.
const CREATED: &str = "2022-06-01T00:00:00Z";

/// A time and what happened then.
type Event = (&'static str, fn(&mut Shop));

/// What happened, and when. No commit lies within three days of 2022-07-05: the story's question has the same answer
/// in every time zone.
const STORY: [Event; 12] = [
    ("2022-06-02T00:30:00Z", |shop| shop.customers.load(&CUSTOMERS)),
    ("2022-06-05T02:00:00Z", |shop| shop.orders.load(JUNE[0])),
    ("2022-06-12T02:00:00Z", |shop| shop.orders.load(JUNE[1])),
    ("2022-06-19T02:00:00Z", |shop| shop.orders.load(JUNE[2])),
    ("2022-06-26T02:00:00Z", |shop| shop.orders.load(JUNE[3])),
    // Order 20 arrived.
    ("2022-06-30T15:20:00Z", |shop| shop.orders.update(|o| o.id == 20, |o| o.status = "delivered")),
    ("2022-07-02T02:00:00Z", |shop| shop.orders.load(&EARLY_JULY)),
    // The mistake. Order 23 was to be cancelled; the WHERE said userId = 100 and nothing else.
    ("2022-07-08T09:30:00Z", |shop| {
        shop.orders.update(
            |o| o.user == 100,
            |o| {
                o.cents = 0;
                o.status = "cancelled";
            },
        );
    }),
    ("2022-07-17T02:00:00Z", |shop| {
        shop.orders.load(LATER[0]);
        shop.customers.load(&NEW_CUSTOMERS);
    }),
    // Ada moved.
    ("2022-07-19T11:05:00Z", |shop| shop.customers.update(|c| c.user == 100, |c| c.city = "Porto")),
    // Dora closed her account: both tables, one moment.
    ("2022-07-24T08:00:00Z", |shop| {
        shop.orders.delete(|o| o.user == 103);
        shop.customers.delete(|c| c.user == 103);
    }),
    ("2022-07-31T02:00:00Z", |shop| shop.orders.load(LATER[1])),
];

/// Makes the sample data and their history, once: an instance that has a database `demo` is left as it is.
pub async fn build_history(node: &Arc<Node>) -> Result<()> {
    let gms = &node.gms;
    let unfinished = gms.catalog().database(UNFINISHED).is_some();
    if gms.catalog().database(DATABASE).is_some() {
        // Only the last step, the renaming, may have been cut short.
        return if unfinished { publish(gms).await } else { Ok(()) };
    }
    if unfinished {
        clear(gms).await?;
    } else {
        gms.create_database(UNFINISHED).await?;
    }
    let cold = &node.engine.cold;
    let mut shop = create_tables(gms).await?;
    for (at, happens) in STORY {
        happens(&mut shop);
        shop.commit(cold, moment(at)?).await?;
    }
    gms.create_database(DATABASE).await?;
    publish(gms).await?;
    tracing::info!(database = DATABASE, commits = STORY.len(), "the demo's history was built");
    Ok(())
}

/// Gives the finished tables their place.
async fn publish(gms: &Gms) -> Result<()> {
    for table in tables(gms) {
        gms.rename_table(table.id, DATABASE, &table.name).await?;
    }
    gms.drop_database(UNFINISHED).await
}

/// Removes what a process that died had built so far.
async fn clear(gms: &Gms) -> Result<()> {
    for table in tables(gms) {
        let bin = gms.drop_table(table.id).await?;
        gms.purge_binned(Some(UNFINISHED), Some(&bin)).await?;
    }
    Ok(())
}

fn tables(gms: &Gms) -> Vec<Arc<Table>> {
    gms.catalog().tables(UNFINISHED).cloned().collect()
}

/// The empty tables.
pub(super) async fn create_tables(gms: &Gms) -> Result<Shop> {
    Ok(Shop { orders: Files::new(create::<Order>(gms).await?), customers: Files::new(create::<Customer>(gms).await?) })
}

async fn create<R: Row>(gms: &Gms) -> Result<Table> {
    let table = gms
        .create_table(NewTable {
            database: UNFINISHED.to_owned(),
            name: R::TABLE.to_owned(),
            engine: DEFAULT_ENGINE.to_owned(),
            columns: R::columns(),
            keys: R::keys(),
            comment: R::COMMENT.to_owned(),
            options: serde_json::Value::Null,
            at: Some(moment(CREATED)?),
        })
        .await?;
    // Files are named after the place that the table will have.
    Ok(Table { database: DATABASE.to_owned(), ..Table::clone(&table) })
}

fn moment(text: &str) -> Result<Tso> {
    let at: jiff::Timestamp = text.parse().map_err(|e| Error::internal(format!("the demo's time {text}: {e}")))?;
    Tso::from_timestamp(at)
}

pub(super) struct Shop {
    orders: Files<Order>,
    customers: Files<Customer>,
}

impl Shop {
    /// Commits what happened since the last commit, at `at`.
    async fn commit(&mut self, cold: &Cold, at: Tso) -> Result<()> {
        let mut transaction = Transaction::begin(cold.clone(), at.prev());
        let written = async {
            self.orders.write(cold, &mut transaction).await?;
            self.customers.write(cold, &mut transaction).await
        };
        if let Err(error) = written.await {
            transaction.rollback().await;
            return Err(error);
        }
        match transaction.commit(Some(at)).await? {
            Some(_) => Ok(()),
            None => Err(Error::new(Kind::Internal, "a moment of the demo's history changes nothing")),
        }
    }
}

/// A table as the files it is made of now, with their rows; and what the running commit changes.
struct Files<R> {
    table: Arc<Table>,
    live: Vec<(FileId, Vec<R>)>,
    replaced: Vec<FileId>,
    fresh: Vec<R>,
}

impl<R: Row> Files<R> {
    fn new(table: Table) -> Files<R> {
        Files { table: Arc::new(table), live: Vec::new(), replaced: Vec::new(), fresh: Vec::new() }
    }

    fn load(&mut self, rows: &[R]) {
        self.fresh.extend_from_slice(rows);
    }

    fn update(&mut self, hit: fn(&R) -> bool, change: fn(&mut R)) {
        let mut rows = self.take_files(hit);
        rows.iter_mut().filter(|row| hit(row)).for_each(change);
        self.fresh.extend(rows);
    }

    fn delete(&mut self, hit: fn(&R) -> bool) {
        let mut rows = self.take_files(hit);
        rows.retain(|row| !hit(row));
        self.fresh.extend(rows);
    }

    /// The rows of all files with a hit; these files will be replaced.
    fn take_files(&mut self, hit: fn(&R) -> bool) -> Vec<R> {
        let (taken, kept): (Vec<_>, Vec<_>) = self.live.drain(..).partition(|(_, rows)| rows.iter().any(hit));
        self.live = kept;
        self.replaced.extend(taken.iter().map(|(file, _)| *file));
        taken.into_iter().flat_map(|(_, rows)| rows).collect()
    }

    /// Writes the fresh rows as one file and hands the change to the transaction.
    async fn write(&mut self, cold: &Cold, transaction: &mut Transaction) -> Result<()> {
        if self.fresh.is_empty() && self.replaced.is_empty() {
            return Ok(());
        }
        let rows: RecordBatch = batch(&self.fresh)?;
        let mut sink = FileSink::new(cold.clone(), Arc::clone(&self.table), transaction.task().await?)?;
        sink.write(&rows).await?;
        let mut delta = Delta::new(Arc::clone(&self.table));
        delta.files = sink.finish().await?;
        delta.removed = std::mem::take(&mut self.replaced);
        let rows = std::mem::take(&mut self.fresh);
        match delta.files.as_slice() {
            [file] => self.live.push((file.version.id, rows)),
            files => return Err(Error::internal(format!("a commit of the demo's history makes {} files of a table", files.len()))),
        }
        transaction.apply(delta).await
    }
}
