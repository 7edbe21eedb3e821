//! File storages, the files of tables, purge and the recycle bin.

mod file_storages;
mod files;
mod preview;
mod purge;
mod recycle_bin;

pub(super) use preview::plan_columns;
