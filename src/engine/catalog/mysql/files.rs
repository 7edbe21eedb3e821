//! FILES, FILE_STORAGE, FILE_STORAGE_FILES_META: the file versions of cold tables, as PolarDB-X shows them.

use super::super::layout::{Cell, RowSet};
use super::super::snapshot::CatalogSnapshot;
use super::layouts::DEF;
use crate::gms::FileStorage;

/// Files that are there now; those with a remove_ts are history and stand in FILE_STORAGE_FILES_META only.
pub(super) fn files(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    let known = |n: u64| Cell::Int(i64::try_from(n).unwrap_or(i64::MAX));
    for file in snapshot.files.iter().filter(|f| f.remove_ts.is_none()) {
        let table = snapshot.table_by_id(file.table);
        let created = Cell::Micros(snapshot.local_micros(file.created));
        rows.push([
            ("file_id", known(file.id.0)),
            ("file_name", file.path.as_str().into()),
            ("file_type", "TABLE_FILE".into()),
            ("table_catalog", DEF.into()),
            ("table_schema", table.map(|t| t.database.as_str()).into()),
            ("table_name", table.map(|t| t.name.as_str()).into()),
            ("engine", file.engine.as_str().into()),
            ("extent_size", known(file.bytes)),
            ("creation_time", created.clone()),
            ("last_update_time", created.clone()),
            ("table_rows", known(file.rows)),
            ("avg_row_length", known(file.bytes.checked_div(file.rows).unwrap_or(0))),
            ("data_length", known(file.bytes)),
            ("create_time", created),
            ("status", "NORMAL".into()),
        ]);
    }
}

pub(super) fn file_storage(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    for storage in &snapshot.metadata.storages {
        rows.push([
            ("uri", shown_uri(storage).into()),
            ("engine", storage.engine.as_str().into()),
            ("role", "MASTER".into()),
            ("read_lock_count", Cell::Int(0)),
            ("write_lock_count", Cell::Int(0)),
        ]);
    }
}

/// The URI without what stands before an `@` or after a `?`: both may be secrets.
fn shown_uri(storage: &FileStorage) -> String {
    let uri = storage.uri.split('?').next().unwrap_or_default();
    match (uri.split_once("://"), uri.rfind('@')) {
        (Some((scheme, _)), Some(at)) => format!("{scheme}://{}", &uri[at + 1..]),
        _ => uri.to_owned(),
    }
}

pub(super) fn files_meta(rows: &mut RowSet<'_>, snapshot: &CatalogSnapshot) {
    for file in &snapshot.files {
        rows.push([
            ("engine", file.engine.as_str().into()),
            ("data_path", file.path.as_str().into()),
            ("commit_ts", Cell::UInt(file.commit_ts.0)),
            ("remove_ts", file.remove_ts.map(|t| t.0).into()),
        ]);
    }
}
