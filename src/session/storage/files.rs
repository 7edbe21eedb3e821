//! The files of a table: SHOW FILES, OPTIMIZE, CHECK and ANALYZE.

use std::sync::Arc;

use crate::engine::{ReadTime, TimeOrigin};
use crate::error::Result;
use crate::gms::Scope;
use crate::session::call::Call;
use crate::session::result_set::{number, reply, text};
use crate::session::state::Session;
use crate::session::{Outcome, Reply};
use crate::sql::{Name, TimeClause};

impl Session {
    pub(in crate::session) async fn show_files(&mut self, name: &Name, as_of: Option<&TimeClause>, call: &Call) -> Result<Reply> {
        let table = self.table(name)?;
        let mut read = self.read_time().await?;
        if let Some(clause) = as_of {
            let now = self.node.gms.read_now().await?;
            read = ReadTime { at: self.evaluate_time(clause, now, &call.params)?, origin: TimeOrigin::Statement };
            self.node.gms.admit(read.at).await?;
        }
        let snapshot = self.node.engine.snapshot(&table, read).await?;
        let files = &snapshot.files;
        let zone = self.settings.zone.clone();
        let created = |ts: jiff::Timestamp| ts.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        reply(
            "SHOW",
            vec![
                number("ID", files.iter().map(|f| Some(f.id.0))),
                text("GROUP_NAME", files.iter().map(|_| Some(table.database.clone()))),
                text("TABLE_NAME", files.iter().map(|_| Some(table.name.clone()))),
                text("PARTITION_NAME", files.iter().map(|_| None::<String>)),
                text("FILE_NAME", files.iter().map(|f| Some(f.path.clone()))),
                number("FILE_SIZE", files.iter().map(|f| Some(f.bytes))),
                number("ROW_COUNT", files.iter().map(|f| Some(f.rows))),
                text("CREATE_TIME", files.iter().map(|f| Some(created(f.created)))),
                number("COMMIT_TSO_TIME", files.iter().map(|f| Some(f.commit_ts.0))),
            ],
        )
    }

    pub(in crate::session) async fn optimize(&mut self, names: &[Name]) -> Result<Reply> {
        self.end_before_ddl("OPTIMIZE TABLE").await?;
        let mut lines = Vec::new();
        for name in names {
            let table = self.table(name)?;
            let cold = self.node.engine.cold.clone();
            let id = table.id;
            // The merge ends with a commit, so it is not dropped halfway when the client leaves.
            let report = self.node.tasks.spawn("compaction", async move { cold.compact(id).await }).join().await??;
            let full = format!("{}.{}", table.database, table.name);
            if report.files_before > 0 {
                lines.push((
                    full.clone(),
                    "note",
                    format!("{} files merged into {}, {} rows", report.files_before, report.files_after, report.rows),
                ));
            }
            lines.push((full, "status", "OK".to_owned()));
        }
        reply(
            "SHOW",
            vec![
                text("Table", lines.iter().map(|l| Some(l.0.clone()))),
                text("Op", lines.iter().map(|_| Some("optimize"))),
                text("Msg_type", lines.iter().map(|l| Some(l.1))),
                text("Msg_text", lines.iter().map(|l| Some(l.2.clone()))),
            ],
        )
    }

    /// ANALYZE has nothing to do (statistics are made at write); CHECK opens every file of the table.
    pub(in crate::session) async fn check_tables(&mut self, names: &[Name], verb: &str) -> Result<Reply> {
        let check = verb == "CHECK TABLE";
        let mut lines = Vec::new();
        for name in names {
            let table = self.table(name)?;
            let full = format!("{}.{}", table.database, table.name);
            if check {
                let place = self.node.engine.cold.place(&table.engine)?;
                for file in self.node.gms.file_versions(&Scope::Table(table.id)).await? {
                    let opened = crate::orc::OrcFile::open(Arc::clone(&place.store), &place.path(&file.path), Some(file.bytes)).await;
                    match opened {
                        Ok(orc) if orc.rows() == file.rows => {}
                        Ok(orc) => {
                            lines.push((full.clone(), "error", format!("{} holds {} rows instead of {}", file.path, orc.rows(), file.rows)))
                        }
                        Err(error) => lines.push((full.clone(), "error", error.to_string())),
                    }
                }
            }
            if !lines.iter().any(|l| l.0 == full) {
                lines.push((full, "status", "OK".to_owned()));
            }
        }
        if names.is_empty() || (!check && self.family() == crate::types::Family::Postgres) {
            return Ok(Reply::Done(Outcome::tag("ANALYZE")));
        }
        reply(
            "SHOW",
            vec![
                text("Table", lines.iter().map(|l| Some(l.0.clone()))),
                text("Op", lines.iter().map(|_| Some(if check { "check" } else { "analyze" }))),
                text("Msg_type", lines.iter().map(|l| Some(l.1))),
                text("Msg_text", lines.iter().map(|l| Some(l.2.clone()))),
            ],
        )
    }
}
