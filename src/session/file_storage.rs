//! File storages, their backup, purge and trim, the recycle bin, OPTIMIZE and SHOW FILES.

use std::sync::Arc;

use super::execute::Call;
use super::rows::{number, reply, signed, text};
use super::state::Session;
use super::{Outcome, Reply};
use crate::error::{Error, Kind, Result};
use crate::gms::{FileStorage, PurgePlan, PurgeResult, Scope, Table, TrimTable};
use crate::sql::{Mode, Name, Parsed, StorageAction, StorageOptions, TimeClause};
use crate::store::validate_options;
use crate::time::Tso;

/// One day in microseconds.
const DAY: u64 = 24 * 3600 * 1_000_000;

impl Session {
    pub(super) async fn create_storage(&mut self, engine: &str, if_not_exists: bool, options: &StorageOptions) -> Result<Reply> {
        self.end_before_ddl("CREATE FILESTORAGE").await?;
        let tag = || Ok(Reply::Done(Outcome::tag("CREATE FILESTORAGE")));
        if let Some(existing) = self.instance.gms.catalog().storage(engine) {
            let default = existing.uri == self.instance.config.default_uri() && existing.options.is_empty();
            let used = self.instance.gms.catalog().every_table().any(|t| t.engine == existing.engine);
            if if_not_exists && !default {
                self.note(1007, format!("file storage {engine} exists already"));
                return tag();
            }
            if !default || used {
                return Err(Error::new(Kind::Refused, format!("file storage {engine} exists already"))
                    .with_hint("DROP FILESTORAGE it first, or change its options with ALTER FILESTORAGE .. WITH (..)"));
            }
            // The built-in store of the data directory gives way as long as no table uses it.
            self.instance.gms.drop_storage(engine).await?;
        }
        let outcome = self.register_storage(engine, options).await;
        if outcome.is_err()
            && self.instance.gms.catalog().storage(engine).is_none()
            && engine.eq_ignore_ascii_case(crate::store::DEFAULT_ENGINE)
        {
            let default = FileStorage::new(engine, &self.instance.config.default_uri());
            self.instance.gms.create_storage(default).await?;
        }
        outcome?;
        tag()
    }

    async fn register_storage(&self, engine: &str, options: &StorageOptions) -> Result<()> {
        let options: std::collections::BTreeMap<String, String> = options.0.iter().cloned().collect();
        validate_options(engine, &options)?;
        let uri = crate::store::uri_of(engine, &options).ok_or_else(|| Error::internal("a checked file storage has no URI"))?;
        let storage = FileStorage { options, ..FileStorage::new(engine, &uri) };
        // A store that does not answer is refused now rather than at the first write.
        let spec = crate::store::StorageSpec { engine: storage.engine.clone(), uri: storage.uri.clone(), options: storage.options.clone() };
        self.instance.stores.probe(&spec, std::time::Duration::from_secs(20)).await?;
        self.instance.gms.create_storage(storage).await
    }

    pub(super) async fn drop_storage(&mut self, engine: &str, if_exists: bool) -> Result<Reply> {
        self.end_before_ddl("DROP FILESTORAGE").await?;
        let catalog = self.instance.gms.catalog();
        let Some(storage) = catalog.storage(engine) else {
            if if_exists {
                self.note(1286, format!("Unknown file storage '{engine}'"));
                return Ok(Reply::Done(Outcome::tag("DROP FILESTORAGE")));
            }
            return Err(unknown(engine));
        };
        let tables: Vec<String> =
            catalog.every_table().filter(|t| t.engine == storage.engine).map(|t| format!("{}.{}", t.database, t.name)).collect();
        if !tables.is_empty() {
            return Err(Error::new(
                Kind::Refused,
                format!(
                    "file storage {} holds {} tables ({}{})",
                    storage.engine,
                    tables.len(),
                    tables[0],
                    if tables.len() > 1 { ", .." } else { "" }
                ),
            )
            .with_hint(format!("move or drop them and purge the recycle bin, or CLEAR FILESTORAGE {} PREVIEW", storage.engine)));
        }
        self.instance.gms.drop_storage(&storage.engine).await?;
        self.instance.stores.forget(&storage.engine);
        Ok(Reply::Done(Outcome::tag("DROP FILESTORAGE")))
    }

    pub(super) async fn clear_storage(&mut self, engine: &str, mode: Mode) -> Result<Reply> {
        let catalog = self.instance.gms.catalog();
        let storage = catalog.storage(engine).ok_or_else(|| unknown(engine))?;
        let versions = self.instance.gms.file_versions(&Scope::Engine(storage.engine.clone())).await?;
        let tables: Vec<&Arc<Table>> = catalog.every_table().filter(|t| t.engine == storage.engine).collect();
        match mode {
            Mode::Preview => {
                let mut lines = Vec::new();
                for table in &tables {
                    let of: Vec<_> = versions.iter().filter(|f| f.table == table.id).collect();
                    lines.push(PlanLine::of_table(
                        "drop table",
                        table,
                        of.len() as u64,
                        of.iter().map(|f| f.rows).sum(),
                        of.iter().map(|f| f.bytes).sum(),
                    ));
                }
                self.plan_reply(lines)
            }
            Mode::Do if !tables.is_empty() => Err(Error::new(
                Kind::Refused,
                format!(
                    "CLEAR FILESTORAGE {} would drop {} tables with {} file versions, history included",
                    storage.engine,
                    tables.len(),
                    versions.len()
                ),
            )
            .with_hint(format!("see CLEAR FILESTORAGE {0} PREVIEW; CLEAR FILESTORAGE {0} FORCE does it", storage.engine))),
            _ => {
                self.end_before_ddl("CLEAR FILESTORAGE").await?;
                let result = self.instance.gms.clear_storage(&storage.engine).await?;
                self.after_purge(&result).await;
                Ok(purge_outcome("CLEAR FILESTORAGE", &result))
            }
        }
    }

    pub(super) async fn alter_storage(
        &mut self,
        engine: &str,
        action: &StorageAction,
        mode: Mode,
        parsed: &Parsed,
        call: &Call,
    ) -> Result<Reply> {
        let catalog = self.instance.gms.catalog();
        let storage = Arc::clone(catalog.storage(engine).ok_or_else(|| unknown(engine))?);
        match action {
            StorageAction::Backup => self.backup(&storage, mode).await,
            StorageAction::PurgeBefore(time) => {
                let scope = Scope::Engine(storage.engine.clone());
                let again = format!("ALTER FILESTORAGE {} PURGE BEFORE ..", storage.engine);
                self.purge(&scope, &again, time, mode, parsed, call).await
            }
            StorageAction::AsOf(time) => self.trim(&storage, time, mode, call).await,
            StorageAction::Set(options) => {
                self.end_before_ddl("ALTER FILESTORAGE").await?;
                let mut changed = FileStorage::clone(&storage);
                for (key, value) in &options.0 {
                    changed.options.insert(key.clone(), value.clone());
                }
                let mut whole = changed.options.clone();
                whole.entry("FILE_URI".to_owned()).or_insert_with(|| storage.uri.clone());
                validate_options(&changed.engine, &whole)?;
                let given = options.0.iter().any(|(key, _)| matches!(key.as_str(), "FILE_URI" | "AZURE_CONTAINER_NAME"));
                if given && crate::store::uri_of(&changed.engine, &changed.options).is_some_and(|uri| uri != storage.uri) {
                    return Err(Error::new(Kind::Refused, "FILE_URI cannot change: the files lie there")
                        .with_hint("register a second file storage"));
                }
                self.instance.gms.update_storage(changed).await?;
                self.instance.stores.forget(&storage.engine);
                Ok(Reply::Done(Outcome::tag("ALTER FILESTORAGE")))
            }
        }
    }

    async fn backup(&mut self, storage: &FileStorage, mode: Mode) -> Result<Reply> {
        let cold = self.instance.engine.cold.clone();
        let report = if mode == Mode::Preview {
            cold.plan_backup(&storage.engine).await?
        } else {
            self.end_before_ddl("ALTER FILESTORAGE .. BACKUP").await?;
            cold.backup(&storage.engine).await?
        };
        if mode == Mode::Preview {
            let line = PlanLine {
                action: "list files".into(),
                object: report.path,
                files: report.files,
                rows: report.rows,
                bytes: report.bytes,
                horizon: None,
            };
            return self.plan_reply(vec![line]);
        }
        Ok(Reply::Done(Outcome {
            affected: report.files,
            info: format!("{} file versions listed in {}", report.files, report.path),
            ..Outcome::tag(format!("BACKUP {}", report.files))
        }))
    }

    pub(super) async fn purge_table_before(
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

    async fn purge(&mut self, scope: &Scope, again: &str, time: &TimeClause, mode: Mode, parsed: &Parsed, call: &Call) -> Result<Reply> {
        let now = self.instance.gms.read_now().await?;
        let before = self.evaluate_time(time, now, &call.params)?;
        self.instance.gms.admit(before).await?;
        if mode == Mode::Preview {
            let plan = self.instance.gms.plan_purge(scope, before).await?;
            return self.plan_reply(purge_lines(&plan));
        }
        self.check_backup_period(before, now, mode, parsed, again)?;
        self.end_before_ddl("PURGE").await?;
        let result = self.instance.gms.purge(scope, before).await?;
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
                .variables
                .text("backup_oss_period")
                .and_then(|text| text.parse().ok())
                .unwrap_or_else(|| u64::from(self.instance.config.purge.backup_oss_period_days)),
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
    async fn after_purge(&self, result: &PurgeResult) {
        if result.objects > 0
            && let Err(error) = self.instance.sweep().await
        {
            tracing::warn!(%error, "the sweep after a purge failed; the next one goes on");
        }
    }

    async fn trim(&mut self, storage: &FileStorage, time: &TimeClause, mode: Mode, call: &Call) -> Result<Reply> {
        let now = self.instance.gms.read_now().await?;
        let to = self.evaluate_time(time, now, &call.params)?;
        self.instance.gms.admit(to).await?;
        if mode == Mode::Preview {
            let plan = self.instance.gms.plan_trim(&storage.engine, to).await?;
            let lines = plan.tables.iter().flat_map(trim_lines).collect();
            return self.plan_reply(lines);
        }
        self.end_before_ddl("ALTER FILESTORAGE .. AS OF").await?;
        self.check_backup_list(storage, to).await?;
        let result = self.instance.gms.trim(&storage.engine, to, mode == Mode::Force).await?;
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
        let list = match self.instance.engine.cold.read_backup(&storage.engine).await {
            Ok(Some(list)) => list,
            Ok(None) => return Ok(()),
            // The metadata knows what is there: a list that cannot be read must not stand in the way of going back.
            Err(error) => {
                self.warn(1105, format!("the last backup list cannot be read ({}); the metadata was used", error.message()));
                return Ok(());
            }
        };
        let versions = self.instance.gms.file_versions(&Scope::Engine(storage.engine.clone())).await?;
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
            self.warn(1105, format!("{missing} files of the last backup list are not in the metadata (any more); the metadata was used"));
        }
        if differ > 0 {
            self.warn(
                1105,
                format!("{differ} files of the last backup list have other commit times than the metadata; the metadata was used"),
            );
        }
        Ok(())
    }

    pub(super) async fn show_storages(&mut self) -> Result<Reply> {
        let catalog = self.instance.gms.catalog();
        let storages: Vec<_> = catalog.storages().cloned().collect();
        let traffic: Vec<_> = storages.iter().map(|s| self.instance.stores.counters(&s.engine).traffic()).collect();
        let option = |s: &FileStorage, key: &str| s.options.get(key).cloned();
        reply(
            "SHOW",
            vec![
                text("ENGINE", storages.iter().map(|s| Some(s.engine.clone()))),
                text("ENDPOINT_KEY", storages.iter().map(|s| option(s, "ENDPOINT"))),
                text("FILE_URI", storages.iter().map(|s| Some(crate::store::scrub(&s.uri)))),
                number("IS_MASTER", storages.iter().map(|_| Some(1))),
                number("BYTES_READ", traffic.iter().map(|t| Some(t.bytes_read))),
                number("BYTES_WRITTEN", traffic.iter().map(|t| Some(t.bytes_written))),
                number("READ_OPS", traffic.iter().map(|t| Some(t.read_ops))),
                number("WRITE_OPS", traffic.iter().map(|t| Some(t.write_ops))),
                signed("MAX_READ_RATE", storages.iter().map(|_| Some(-1))),
                signed("MAX_WRITE_RATE", storages.iter().map(|_| Some(-1))),
            ],
        )
    }

    pub(super) async fn show_files(&mut self, name: &Name, as_of: Option<&TimeClause>, call: &Call) -> Result<Reply> {
        let table = self.table(name)?;
        let mut read = self.read_time().await?;
        if let Some(clause) = as_of {
            let now = self.instance.gms.read_now().await?;
            read.at = self.evaluate_time(clause, now, &call.params)?;
            self.instance.gms.admit(read.at).await?;
        }
        let snapshot = self.instance.gms.snapshot(table.id, read.at).await?;
        let files = &snapshot.files;
        let zone = self.zone.clone();
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

    pub(super) async fn optimize(&mut self, names: &[Name]) -> Result<Reply> {
        self.end_before_ddl("OPTIMIZE TABLE").await?;
        let mut lines = Vec::new();
        for name in names {
            let table = self.table(name)?;
            let cold = self.instance.engine.cold.clone();
            let id = table.id;
            // The merge ends with a commit, so it is not dropped halfway when the client leaves.
            let report = tokio::spawn(async move { cold.compact(id).await }).await.map_err(|e| Error::internal(e.to_string()))??;
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
    pub(super) async fn check_tables(&mut self, names: &[Name], verb: &str) -> Result<Reply> {
        let check = verb == "CHECK TABLE";
        let mut lines = Vec::new();
        for name in names {
            let table = self.table(name)?;
            let full = format!("{}.{}", table.database, table.name);
            if check {
                let place = self.instance.engine.cold.place(&table.engine)?;
                for file in self.instance.gms.file_versions(&Scope::Table(table.id)).await? {
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

    pub(super) async fn show_recycle_bin(&mut self) -> Result<Reply> {
        let bin = self.instance.gms.recycle_bin().await?;
        let zone = self.zone.clone();
        reply(
            "SHOW",
            vec![
                number("Id", bin.iter().map(|b| Some(b.id))),
                text("NAME", bin.iter().map(|b| Some(b.name.clone()))),
                text("ORIGINAL_NAME", bin.iter().map(|b| Some(b.original_name.clone()))),
                text(
                    "CREATED",
                    bin.iter().map(|b| Some(b.created.timestamp().to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string())),
                ),
            ],
        )
    }

    pub(super) async fn flashback_table(&mut self, name: &Name, rename_to: Option<&str>) -> Result<Reply> {
        self.end_before_ddl("FLASHBACK TABLE").await?;
        let (database, bin) = self.namespace().table(&name.parts)?;
        self.instance.gms.flashback_table(&database, &bin, rename_to).await?;
        self.renew_snapshot().await?;
        Ok(Reply::Done(Outcome::tag("FLASHBACK TABLE")))
    }

    pub(super) async fn purge_table(&mut self, name: &Name) -> Result<Reply> {
        self.end_before_ddl("PURGE TABLE").await?;
        let (database, bin) = self.namespace().table(&name.parts)?;
        let result = self.instance.gms.purge_binned(Some(&database), Some(&bin)).await?;
        self.after_purge(&result).await;
        Ok(purge_outcome("PURGE TABLE", &result))
    }

    pub(super) async fn purge_recycle_bin(&mut self) -> Result<Reply> {
        self.end_before_ddl("PURGE RECYCLEBIN").await?;
        let result = self.instance.gms.purge_binned(None, None).await?;
        self.after_purge(&result).await;
        Ok(purge_outcome("PURGE RECYCLEBIN", &result))
    }

    fn plan_reply(&self, lines: Vec<PlanLine>) -> Result<Reply> {
        let zone = self.zone.clone();
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
struct PlanLine {
    action: String,
    object: String,
    files: u64,
    rows: u64,
    bytes: u64,
    /// The table's horizon afterwards.
    horizon: Option<Tso>,
}

impl PlanLine {
    fn of_table(action: &str, table: &Table, files: u64, rows: u64, bytes: u64) -> PlanLine {
        PlanLine { action: action.to_owned(), object: format!("{}.{}", table.database, table.name), files, rows, bytes, horizon: None }
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

fn purge_outcome(tag: &str, result: &PurgeResult) -> Reply {
    Reply::Done(Outcome {
        affected: result.files,
        info: format!("{} files, {} rows, {} bytes purged", result.files, result.rows, result.bytes),
        ..Outcome::tag(format!("{tag} {}", result.files))
    })
}

fn unknown(engine: &str) -> Error {
    Error::new(Kind::UnknownFileStorage, format!("Unknown file storage '{engine}'")).with_hint("SHOW FILESTORAGE lists them")
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
