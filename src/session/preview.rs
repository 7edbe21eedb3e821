//! PREVIEW: what a statement would do, as rows; nothing is done.

use super::Reply;
use super::rows::{number, reply, text};
use super::state::Session;
use crate::error::Result;
use crate::gms::Table;
use crate::time::Tso;

impl Session {
    pub(super) fn plan_reply(&self, lines: Vec<PlanLine>) -> Result<Reply> {
        let zone = self.settings.zone.clone();
        reply(
            "SHOW",
            vec![
                text("ACTION", lines.iter().map(|l| Some(l.action.clone()))),
                text("OBJECT", lines.iter().map(|l| Some(l.object.clone()))),
                number("FILES", lines.iter().map(|l| Some(l.files))),
                number("TABLE_ROWS", lines.iter().map(|l| Some(l.rows))),
                number("BYTES", lines.iter().map(|l| Some(l.bytes))),
                text("HORIZON", lines.iter().map(|l| l.horizon.filter(|h| *h > Tso::MIN).map(|h| h.display_in(&zone)))),
            ],
        )
    }
}

/// One line of a PREVIEW.
pub(super) struct PlanLine {
    pub(super) action: String,
    pub(super) object: String,
    pub(super) files: u64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// The table's horizon afterwards.
    pub(super) horizon: Option<Tso>,
}

impl PlanLine {
    pub(super) fn of_table(action: &str, table: &Table, files: u64, rows: u64, bytes: u64) -> PlanLine {
        PlanLine { action: action.to_owned(), object: format!("{}.{}", table.database, table.name), files, rows, bytes, horizon: None }
    }
}

/// The columns of a PREVIEW.
pub(super) fn plan_columns() -> Vec<crate::types::ColumnInfo> {
    use crate::types::{ColumnInfo, SqlType};
    let words = SqlType::VarChar { length: 1024 };
    let count = SqlType::Int64 { unsigned: true };
    vec![
        ColumnInfo::new("ACTION", words.clone()),
        ColumnInfo::new("OBJECT", words.clone()),
        ColumnInfo::new("FILES", count.clone()),
        ColumnInfo::new("TABLE_ROWS", count.clone()),
        ColumnInfo::new("BYTES", count),
        ColumnInfo::new("HORIZON", words),
    ]
}
