//! File storages: registered, changed, emptied, backed up, shown.

use std::sync::Arc;

use super::preview::PlanLine;
use super::purge::purge_outcome;
use crate::error::{Error, Kind, Result};
use crate::gms::{FileStorage, Scope, Table};
use crate::session::call::Call;
use crate::session::result_set::{number, reply, signed, text};
use crate::session::state::Session;
use crate::session::{Outcome, Reply};
use crate::sql::{Mode, Parsed, StorageAction, StorageOptions};
use crate::store::validate_options;

impl Session {
    pub(in crate::session) async fn create_storage(
        &mut self,
        engine: &str,
        if_not_exists: bool,
        options: &StorageOptions,
    ) -> Result<Reply> {
        self.end_before_ddl("CREATE FILESTORAGE").await?;
        let tag = || Ok(Reply::Done(Outcome::tag("CREATE FILESTORAGE")));
        if let Some(existing) = self.node.gms.catalog().storage(engine) {
            let default = existing.uri == self.node.config().default_uri() && existing.options.is_empty();
            let used = self.node.gms.catalog().every_table().any(|t| t.engine == existing.engine);
            if if_not_exists && !default {
                self.diagnostics.note(1007, format!("file storage {engine} exists already"));
                return tag();
            }
            if !default || used {
                return Err(Error::new(Kind::Refused, format!("file storage {engine} exists already"))
                    .with_hint("DROP FILESTORAGE it first, or change its options with ALTER FILESTORAGE .. WITH (..)"));
            }
            // The built-in store of the data directory gives way as long as no table uses it.
            self.node.gms.drop_storage(engine).await?;
        }
        let outcome = self.register_storage(engine, options).await;
        if outcome.is_err()
            && self.node.gms.catalog().storage(engine).is_none()
            && engine.eq_ignore_ascii_case(crate::store::DEFAULT_ENGINE)
        {
            let default = FileStorage::new(engine, &self.node.config().default_uri());
            self.node.gms.create_storage(default).await?;
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
        self.node.stores.probe(&spec, std::time::Duration::from_secs(20)).await?;
        self.node.gms.create_storage(storage).await
    }

    pub(in crate::session) async fn drop_storage(&mut self, engine: &str, if_exists: bool) -> Result<Reply> {
        self.end_before_ddl("DROP FILESTORAGE").await?;
        let catalog = self.node.gms.catalog();
        let Some(storage) = catalog.storage(engine) else {
            if if_exists {
                self.diagnostics.note(1286, format!("Unknown file storage '{engine}'"));
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
        self.node.gms.drop_storage(&storage.engine).await?;
        self.node.stores.forget(&storage.engine);
        Ok(Reply::Done(Outcome::tag("DROP FILESTORAGE")))
    }

    pub(in crate::session) async fn clear_storage(&mut self, engine: &str, mode: Mode) -> Result<Reply> {
        let catalog = self.node.gms.catalog();
        let storage = catalog.storage(engine).ok_or_else(|| unknown(engine))?;
        let versions = self.node.gms.file_versions(&Scope::Engine(storage.engine.clone())).await?;
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
                let result = self.node.gms.clear_storage(&storage.engine).await?;
                self.after_purge(&result).await;
                Ok(purge_outcome("CLEAR FILESTORAGE", &result))
            }
        }
    }

    pub(in crate::session) async fn alter_storage(
        &mut self,
        engine: &str,
        action: &StorageAction,
        mode: Mode,
        parsed: &Parsed,
        call: &Call,
    ) -> Result<Reply> {
        let catalog = self.node.gms.catalog();
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
                self.node.gms.update_storage(changed).await?;
                self.node.stores.forget(&storage.engine);
                Ok(Reply::Done(Outcome::tag("ALTER FILESTORAGE")))
            }
        }
    }

    async fn backup(&mut self, storage: &FileStorage, mode: Mode) -> Result<Reply> {
        let cold = self.node.engine.cold.clone();
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

    pub(in crate::session) async fn show_storages(&mut self) -> Result<Reply> {
        let catalog = self.node.gms.catalog();
        let storages: Vec<_> = catalog.storages().cloned().collect();
        let traffic: Vec<_> = storages.iter().map(|s| self.node.stores.counters(&s.engine).traffic()).collect();
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
}

fn unknown(engine: &str) -> Error {
    Error::new(Kind::UnknownFileStorage, format!("Unknown file storage '{engine}'")).with_hint("SHOW FILESTORAGE lists them")
}
