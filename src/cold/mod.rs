//! Cold tables: reading a snapshot, writing rows, transactions over file versions, and the care of files.
//!
//! Everything here works on whole file versions: a read sees the files of one [`Snapshot`](crate::gms::Snapshot), a write
//! makes new files and names the files they replace, and a commit gives all of them one time. It knows no SQL text and
//! no client; the engine hands it plans and rows.

mod adopt;
mod backup;
mod compact;
mod prune;
mod rewrite;
mod scan;
mod sink;
mod storage;
mod sweep;
mod transaction;
mod unit;

pub use backup::{BackupFile, BackupReport};
pub use compact::CompactReport;
pub use prune::{PrunedFiles, prune_files};
pub use rewrite::Hits;
pub use scan::{ColdTable, FILE_COLUMN, ROW_COLUMN, ScanReport, TableView};
pub use sink::{FileSink, Written};
pub use storage::{Cold, OpenedStorage, Settings};
pub use sweep::SweepReport;
pub use transaction::{Delta, Staged, Transaction};
