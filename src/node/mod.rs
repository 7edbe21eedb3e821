//! The running server, and not a client: what all sessions of a process share.
//!
//! It owns the configuration in force, the metadata (GMS), object stores, the query engine, users, the list of sessions, and every
//! task that runs in the background. It knows no statement and no protocol.

mod facts;
mod parse_budget;
mod periodic;
mod registry;
mod tasks;
pub mod users;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::cold::{Cold, Settings};
use crate::config::Config;
use crate::engine::{Engine, Resources};
use crate::error::Result;
use crate::gms::{FileStorage, Gms};
use crate::store::{DEFAULT_ENGINE, Stores};
use crate::variables::{Family, Globals, Value};

pub use parse_budget::{HeldPermit, ParseBudget, ParsePermit};
pub use registry::{Handle, Listed, Process, Registry, RunningStatement};
pub use tasks::{Task, Tasks};
pub use users::Users;

/// The database that a fresh data directory has, so that a PostgreSQL client can connect and make others.
const FIRST_DATABASE: &str = "postgres";

/// How long background tasks may take to end when the node closes.
const TASKS_DEADLINE: Duration = Duration::from_secs(5);

/// One running Flashgate.
pub struct Node {
    /// The configuration in force.
    config: ArcSwap<Config>,
    /// Metadata.
    pub gms: Arc<Gms>,
    /// Object stores.
    pub stores: Arc<Stores>,
    /// The users that may log in.
    pub users: Arc<Users>,
    /// The connected sessions.
    pub sessions: Arc<Registry>,
    /// The query engine, and cold tables within it.
    pub engine: Engine,
    /// Global variables.
    pub globals: Arc<Globals>,
    /// Hot tables that a cold table of the same name hides, and that the log has already named.
    pub hidden_hot: Mutex<BTreeSet<String>>,
    /// The budget for parsing long texts.
    pub reading: ParseBudget,
    /// When it was opened.
    pub started: Instant,
    /// All background tasks.
    pub tasks: Tasks,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

impl Node {
    /// Opens metadata and stores, registers the default file storage when there is none, and cleans up after a crash.
    pub async fn open(config: Config) -> Result<Arc<Node>> {
        std::fs::create_dir_all(&config.data_dir).map_err(|e| {
            crate::error::Error::new(crate::error::Kind::Storage, format!("cannot make {}: {e}", config.data_dir.display()))
        })?;
        let gms = Gms::open(&config.gms_url()).await?;
        let stores = Arc::new(Stores::new(&config)?);
        // Takes ownership of the metadata: only then may anything be changed.
        gms.recover().await?;
        if gms.catalog().storage(DEFAULT_ENGINE).is_none() {
            gms.create_storage(FileStorage::new(DEFAULT_ENGINE, &config.default_uri())).await?;
        }
        let users = Arc::new(Users::open(Arc::clone(&gms) as _, &config).await?);
        let settings = Settings { target_file_rows: config.cold.target_file_rows as u64, ..Settings::default() };
        let cold = Cold { gms: Arc::clone(&gms), stores: Arc::clone(&stores), settings: Arc::new(settings) };
        let limits = &config.limits;
        gms.set_purge_delay(config.purge.garbage_delay.limit().unwrap_or_default());
        let engine = Engine::new(
            cold,
            &Resources {
                memory: usize::try_from(limits.engine_memory.0).unwrap_or(usize::MAX),
                spill_dir: config.spill_dir(),
                spill_bytes: limits.spill_bytes.0,
                partitions: limits.engine_threads,
                batch_rows: limits.batch_rows,
            },
        )?;
        let globals = Arc::new(Globals::default());
        facts::tell(&globals, &config, None);
        if gms.catalog().databases().next().is_none() {
            // A PostgreSQL client cannot connect without a database: there is one, of the name that clients try.
            gms.create_database(FIRST_DATABASE).await?;
        }
        Ok(Arc::new(Node {
            hidden_hot: Mutex::default(),
            reading: ParseBudget::new(limits.message_bytes.as_usize()),
            config: ArcSwap::from_pointee(config),
            gms,
            stores,
            users,
            sessions: Arc::new(Registry::default()),
            engine,
            globals,
            started: Instant::now(),
            tasks: Tasks::here(),
        }))
    }

    /// The configuration in force. A reload replaces it, so ask again rather than keep it.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Puts a configuration in force that a reload has read and checked.
    pub fn reconfigure(&self, config: Config) {
        self.gms.set_purge_delay(config.purge.garbage_delay.limit().unwrap_or_default());
        facts::tell(&self.globals, &config, Some(&self.config.load()));
        self.config.store(Arc::new(config));
    }

    /// Sets the variable `port` of each dialect, once the listeners are bound.
    pub fn listening(&self, mysql: Option<u16>, postgres: Option<u16>) {
        for (family, port) in [(Family::MySql, mysql), (Family::Postgres, postgres)] {
            if let Some(port) = port {
                self.globals.fact(family, "port", Value::Int(i64::from(port)));
            }
        }
    }

    /// Deletes objects that no row needs any more.
    pub async fn sweep(&self) -> Result<crate::cold::SweepReport> {
        self.engine.cold.sweep().await
    }

    /// Joins all background tasks, then stores the clock's time and closes the metadata. Nothing else may be called after it.
    pub async fn close(&self) -> Result<()> {
        self.tasks.close(TASKS_DEADLINE).await;
        self.gms.close().await
    }
}
