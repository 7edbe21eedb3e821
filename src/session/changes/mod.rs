//! Changes of rows of cold tables: INSERT, UPDATE, DELETE, TRUNCATE, bulk loads and bulk execution.

mod batch;
mod bulk_load;
mod change_query;
mod expressions;
mod insert;
mod literal_rows;
mod select_query;
mod update;

pub(super) use expressions::{column_index, placeholder};
pub(super) use select_query::select_items;
