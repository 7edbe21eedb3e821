//! Purge and trim of file storages and tables, and what each would do.

use std::sync::Arc;

use super::preview::PlanLine;
use crate::error::{Error, Kind, Result};
use crate::gms::{FileStorage, PurgePlan, PurgeResult, Scope, Table, TrimTable};
use crate::session::call::Call;
use crate::session::state::Session;
use crate::session::{Outcome, Reply};
use crate::sql::{Mode, Parsed, TimeClause};
use crate::time::Tso;

/// One day in microseconds.
const DAY: u64 = 24 * 3600 * 1_000_000;

impl Session {
    pub(in crate::session) async fn purge_table_before(
        &mut self,
        table: &Arc<Table>,
        time: &TimeClause,
        mode: Mode,
        parsed: &Parsed,
        call: &Call,
    ) -> Result<Reply> {
        let again = format!("ALTER TABLE {} PURGE BEFORE ..", table.name);
        self.purge(&Scope::Table(table.id), &again, time, mode, parsed, call).await
    }

    pub(in crate::session) async fn purge(
        &mut self,
        scope: &Scope,
        again: &str,
        time: &TimeClause,
        mode: Mode,
        parsed: &Parsed,
        call: &Call,
    ) -> Result<Reply> {
        let now = self.node.gms.read_now().await?;
        let before = self.evaluate_time(time, now, &call.params)?;
        self.node.gms.admit(before).await?;
        if mode == Mode::Preview {
            let plan = self.node.gms.plan_purge(scope, before).await?;
            return self.plan_reply(purge_lines(&plan));
        }
        self.check_backup_period(before, now, mode, parsed, again)?;
        self.end_before_ddl("PURGE").await?;
        let result = self.node.gms.purge(scope, before).await?;
        self.after_purge(&result).await;
        Ok(purge_outcome("PURGE", &result))
    }

    /// The guard of PolarDB-X: what a backup of the last days still needs is not purged, unless the hint or FORCE says so.
    fn check_backup_period(&self, before: Tso, now: Tso, mode: Mode, parsed: &Parsed, again: &str) -> Result<()> {
        let days = match parsed.cmd_extra("BACKUP_OSS_PERIOD") {
            Some(text) => text
                .parse::<u64>()
                .map_err(|_| Error::new(Kind::WrongValue, format!("BACKUP_OSS_PERIOD is a number of days, not '{text}'")))?,
            None => self
                .settings
                .text("backup_oss_period")
                .and_then(|text| text.parse().ok())
                .unwrap_or_else(|| u64::from(self.node.config().purge.backup_oss_period_days)),
        };
        let limit = Tso::from_unix_micros(now.unix_micros().saturating_sub(days * DAY));
        if mode == Mode::Force || before <= limit {
            return Ok(());
        }
        Err(Error::new(
            Kind::Refused,
            format!("the purge time lies within the last {days} days (BACKUP_OSS_PERIOD): backups of that time may still need the files"),
        )
        .with_hint(format!("see what it would do with PREVIEW; do it with /*+TDDL:cmd_extra(BACKUP_OSS_PERIOD=0)*/ {again}, or FORCE")))
    }

    /// Rows are gone: their objects may go. What cannot be deleted now is swept later.
    pub(in crate::session) async fn after_purge(&self, result: &PurgeResult) {
        if result.objects > 0
            && let Err(error) = self.node.sweep().await
        {
            tracing::warn!(%error, "the sweep after a purge failed; the next one goes on");
        }
    }

    pub(in crate::session) async fn trim(&mut self, storage: &FileStorage, time: &TimeClause, mode: Mode, call: &Call) -> Result<Reply> {
        let now = self.node.gms.read_now().await?;
        let to = self.evaluate_time(time, now, &call.params)?;
        self.node.gms.admit(to).await?;
        if mode == Mode::Preview {
            let plan = self.node.gms.plan_trim(&storage.engine, to).await?;
            let lines = plan.tables.iter().flat_map(trim_lines).collect();
            return self.plan_reply(lines);
        }
        self.end_before_ddl("ALTER FILESTORAGE .. AS OF").await?;
        self.check_backup_list(storage, to).await?;
        let result = self.node.gms.trim(&storage.engine, to, mode == Mode::Force).await?;
        if mode == Mode::Force && result.objects > 0 {
            self.after_purge(&PurgeResult { objects: result.objects, ..PurgeResult::default() }).await;
        }
        let files: u64 = result.tables.iter().map(|t| t.files_removed + t.files_restored).sum();
        let info = format!(
            "{} files removed, {} files restored in {} tables",
            result.tables.iter().map(|t| t.files_removed).sum::<u64>(),
            result.tables.iter().map(|t| t.files_restored).sum::<u64>(),
            result.tables.len()
        );
        Ok(Reply::Done(Outcome { affected: files, info, ..Outcome::tag(format!("ALTER FILESTORAGE {files}")) }))
    }

    /// The metadata decides; a backup list that knows other times for the same files says that one of them is wrong.
    async fn check_backup_list(&mut self, storage: &FileStorage, to: Tso) -> Result<()> {
        let list = match self.node.engine.cold.read_backup(&storage.engine).await {
            Ok(Some(list)) => list,
            Ok(None) => return Ok(()),
            // The metadata knows what is there: a list that cannot be read must not stand in the way of going back.
            Err(error) => {
                self.diagnostics.warn(1105, format!("the last backup list cannot be read ({}); the metadata was used", error.message()));
                return Ok(());
            }
        };
        let versions = self.node.gms.file_versions(&Scope::Engine(storage.engine.clone())).await?;
        let known: std::collections::HashMap<&str, Vec<u64>> = versions.iter().fold(std::collections::HashMap::new(), |mut map, f| {
            map.entry(f.path.as_str()).or_insert_with(Vec::new).push(f.commit_ts.0);
            map
        });
        let differ = list
            .iter()
            .filter(|f| f.commit_ts <= to.0)
            .filter(|f| known.get(f.file_name.as_str()).is_some_and(|times| !times.contains(&f.commit_ts)))
            .count();
        // What had ended by then may have been purged by rights; what ended and was purged since is told as well.
        let missing =
            list.iter().filter(|f| f.commit_ts <= to.0 && f.remove_ts.is_none() && !known.contains_key(f.file_name.as_str())).count();
        if missing > 0 {
            self.diagnostics
                .warn(1105, format!("{missing} files of the last backup list are not in the metadata (any more); the metadata was used"));
        }
        if differ > 0 {
            self.diagnostics.warn(
                1105,
                format!("{differ} files of the last backup list have other commit times than the metadata; the metadata was used"),
            );
        }
        Ok(())
    }
}

fn purge_lines(plan: &PurgePlan) -> Vec<PlanLine> {
    plan.tables
        .iter()
        .map(|t| PlanLine {
            action: if t.binned { "purge binned table".into() } else { "purge files".into() },
            object: format!("{}.{}", t.database, t.name),
            files: t.files,
            rows: t.rows,
            bytes: t.bytes,
            horizon: Some(t.horizon_after),
        })
        .collect()
}

fn trim_lines(table: &TrimTable) -> Vec<PlanLine> {
    let object = format!("{}.{}", table.database, table.name);
    vec![
        PlanLine {
            action: "remove files".into(),
            object: object.clone(),
            files: table.files_removed,
            rows: table.rows_removed,
            bytes: table.bytes_removed,
            horizon: Some(table.horizon),
        },
        PlanLine {
            action: "restore files".into(),
            object,
            files: table.files_restored,
            rows: table.rows_restored,
            bytes: table.bytes_restored,
            horizon: Some(table.horizon),
        },
    ]
}

pub(in crate::session) fn purge_outcome(tag: &str, result: &PurgeResult) -> Reply {
    Reply::Done(Outcome {
        affected: result.files,
        info: format!("{} files, {} rows, {} bytes purged", result.files, result.rows, result.bytes),
        ..Outcome::tag(format!("{tag} {}", result.files))
    })
}
