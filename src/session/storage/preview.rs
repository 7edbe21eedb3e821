//! PREVIEW: what a statement would do, as rows; nothing is done.

use crate::error::Result;
use crate::gms::Table;
use crate::session::Reply;
use crate::session::result_set::{number, reply, text};
use crate::session::state::Session;
use crate::time::Tso;

impl Session {
    pub(in crate::session) fn plan_reply(&self, lines: Vec<PlanLine>) -> Result<Reply> {
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
pub(in crate::session) struct PlanLine {
    pub(in crate::session) action: String,
    pub(in crate::session) object: String,
    pub(in crate::session) files: u64,
    pub(in crate::session) rows: u64,
    pub(in crate::session) bytes: u64,
    /// The table's horizon afterwards.
    pub(in crate::session) horizon: Option<Tso>,
}

impl PlanLine {
    pub(in crate::session) fn of_table(action: &str, table: &Table, files: u64, rows: u64, bytes: u64) -> PlanLine {
        PlanLine { action: action.to_owned(), object: format!("{}.{}", table.database, table.name), files, rows, bytes, horizon: None }
    }
}

/// The columns of a PREVIEW.
pub(in crate::session) fn plan_columns() -> Vec<crate::types::ColumnInfo> {
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
