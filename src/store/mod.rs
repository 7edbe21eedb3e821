//! Object stores: opened by URI, with credentials, one wrapper for each concern.
//!
//! Owns the way from a file storage's URI and options to an [`ObjectStore`], the durability of what is put there
//! ([`durable`]: an object is on disk before `put` answers), counters ([`counted`]), fault injection ([`fault`]) and
//! the words of errors ([`error()`]). Knows no tables and no metadata; never logs or prints a secret.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::config::Config;
use crate::error::{Error, Kind, Result};

pub mod counted;
pub mod durable;
mod errors;
pub mod fault;
mod foreign;
mod open;
mod options;
pub mod suite;

pub use counted::{Counters, Traffic};
pub use errors::{error, scrub};
pub use foreign::ForeignObject;
pub use options::{ENGINES, KEYS, is_engine, is_secret, uri_of, validate_options};

/// The engine name of the store that is always there.
pub const DEFAULT_ENGINE: &str = "OSS";

/// What it takes to open a store. Secrets lie in `options`; Debug hides them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StorageSpec {
    /// The engine's name as registered: OSS, S3, ...
    pub engine: String,
    /// `file:///dir/`, `s3://bucket/prefix/`, `oss://`, `gs://`, `az://`.
    pub uri: String,
    /// Keys of CREATE FILESTORAGE, in upper case.
    pub options: BTreeMap<String, String>,
}

impl fmt::Debug for StorageSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&String> = self.options.keys().collect();
        f.debug_struct("StorageSpec").field("engine", &self.engine).field("uri", &scrub(&self.uri)).field("options", &keys).finish()
    }
}

/// All stores of this process: opened once each, counted by engine.
pub struct Stores {
    instance_id: String,
    default: StorageSpec,
    faults: Option<Arc<fault::Plan>>,
    /// By spec, so that new credentials open a new store.
    opened: DashMap<StorageSpec, Opened>,
    counters: DashMap<String, Arc<Counters>>,
}

/// A store and where its part of it begins.
pub type Opened = (Arc<dyn ObjectStore>, Path);

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").field("default", &self.default).finish_non_exhaustive()
    }
}

impl Stores {
    /// No store is opened yet. A fault plan is taken from FLASHGATE_STORE_FAULT (tests only, and a warning says so).
    pub fn new(config: &Config) -> Result<Stores> {
        let faults = match std::env::var("FLASHGATE_STORE_FAULT") {
            Ok(text) if !text.is_empty() => {
                tracing::warn!(plan = %text, "FLASHGATE_STORE_FAULT is set: object stores will fail on purpose");
                Some(Arc::new(text.parse::<fault::Plan>()?))
            }
            _ => None,
        };
        Ok(Stores::with_faults(config, faults))
    }

    /// With faults that a test controls.
    pub fn with_faults(config: &Config, faults: Option<Arc<fault::Plan>>) -> Stores {
        Stores {
            instance_id: config.instance_id.clone(),
            default: StorageSpec { engine: DEFAULT_ENGINE.into(), uri: config.default_uri(), options: BTreeMap::new() },
            faults,
            opened: DashMap::new(),
            counters: DashMap::new(),
        }
    }

    /// The store of tables that name none, until one with its engine name is registered.
    pub fn default_spec(&self) -> &StorageSpec {
        &self.default
    }

    /// The store of a file storage, and the prefix below which this instance keeps its objects: `<uri's path><instance id>`.
    pub fn store_for(&self, storage: &StorageSpec) -> Result<Opened> {
        let (store, root) = self.open(storage)?;
        Ok((store, root.join(self.instance_id.as_str())))
    }

    /// The same without the instance's folder: for objects that others wrote (`ADD FILE`).
    pub fn open(&self, storage: &StorageSpec) -> Result<Opened> {
        if let Some(found) = self.opened.get(storage) {
            return Ok(found.clone());
        }
        let (store, root) = open::open(storage)?;
        let store: Arc<dyn ObjectStore> = match &self.faults {
            Some(plan) => Arc::new(fault::FaultStore::new(store, plan.clone())),
            None => store,
        };
        let store: Arc<dyn ObjectStore> = Arc::new(counted::CountedStore::new(store, self.counters(&storage.engine)));
        self.opened.insert(storage.clone(), (store.clone(), root.clone()));
        Ok((store, root))
    }

    /// Forgets an opened store (after DROP FILESTORAGE).
    pub fn forget(&self, engine: &str) {
        self.opened.retain(|spec, _| !spec.engine.eq_ignore_ascii_case(engine));
    }

    /// What went through an engine's stores since this process started.
    pub fn counters(&self, engine: &str) -> Arc<Counters> {
        self.counters.entry(engine.to_uppercase()).or_default().clone()
    }

    /// Does the store answer? For /ready and for CREATE FILESTORAGE; a missing object is an answer.
    pub async fn probe(&self, storage: &StorageSpec, patience: Duration) -> Result<()> {
        let (store, prefix) = self.store_for(storage)?;
        let path = prefix.join("flashgate-probe");
        match tokio::time::timeout(patience, store.head(&path)).await {
            Err(_) => {
                Err(Error::new(Kind::Storage, format!("file storage {} did not answer within {} ms", storage.engine, patience.as_millis())))
            }
            Ok(Ok(_)) => Ok(()),
            Ok(Err(object_store::Error::NotFound { .. })) => open::check_directory(storage),
            Ok(Err(e)) => Err(error(&storage.engine, &path, e)),
        }
    }
}

/// Deletes what is of no use any more; a failure is logged and left to the sweeper, a missing object is fine.
pub async fn delete_quietly(store: &dyn ObjectStore, path: &Path) {
    match store.delete(path).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
        Err(e) => tracing::warn!(%path, error = %scrub(&e.to_string()), "could not delete an object; the sweeper will try again"),
    }
}

/// All objects below `prefix`, at most `limit`.
pub async fn list(engine: &str, store: &dyn ObjectStore, prefix: &Path, limit: usize) -> Result<Vec<object_store::ObjectMeta>> {
    let mut found = store.list(Some(prefix)).take(limit);
    let mut objects = Vec::new();
    while let Some(object) = found.next().await {
        objects.push(object.map_err(|e| error(engine, prefix, e))?);
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stores() -> (tempfile::TempDir, Stores) {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
        let stores = Stores::with_faults(&config, None);
        (dir, stores)
    }

    #[tokio::test]
    async fn the_default_store_lies_in_the_data_directory_under_the_instance() {
        let (dir, stores) = stores();
        let (store, prefix) = stores.store_for(stores.default_spec()).unwrap();
        store.put(&prefix.clone().join("t.orc"), "x".into()).await.unwrap();
        assert!(dir.path().join("files/flashgate/t.orc").is_file());
        stores.probe(stores.default_spec(), Duration::from_secs(5)).await.unwrap();
    }

    #[tokio::test]
    async fn a_store_is_opened_once_and_its_traffic_is_counted_by_engine() {
        let (_dir, stores) = stores();
        let (a, prefix) = stores.store_for(stores.default_spec()).unwrap();
        let (b, _) = stores.store_for(stores.default_spec()).unwrap();
        assert!(Arc::ptr_eq(&a, &b));
        let path = prefix.join("t");
        a.put(&path, "12345".into()).await.unwrap();
        a.get(&path).await.unwrap().bytes().await.unwrap();
        let traffic = stores.counters("oss").traffic();
        assert_eq!((traffic.bytes_written, traffic.write_ops, traffic.bytes_read, traffic.read_ops), (5, 1, 5, 1));
    }

    #[tokio::test]
    async fn a_probe_notices_that_the_directory_has_gone() {
        let (dir, stores) = stores();
        stores.store_for(stores.default_spec()).unwrap();
        std::fs::remove_dir_all(dir.path().join("files")).unwrap();
        let error = stores.probe(stores.default_spec(), Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Storage);
    }

    #[tokio::test]
    async fn an_object_opens_by_its_own_uri() {
        let (dir, stores) = stores();
        std::fs::create_dir(dir.path().join("my files")).unwrap();
        std::fs::write(dir.path().join("my files/a b.orc"), "hello").unwrap();
        let uri = url::Url::from_file_path(dir.path().join("my files/a b.orc")).unwrap();
        let found = stores.foreign_objects(stores.default_spec(), uri.as_str()).await.unwrap();
        let [object] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(object.store.get(&object.path).await.unwrap().bytes().await.unwrap(), "hello");
    }

    #[test]
    fn debug_shows_no_secret() {
        let options = [("ACCESS_KEY_SECRET".to_owned(), "hunter2".to_owned())].into();
        let spec = StorageSpec { engine: "S3".into(), uri: "s3://key:hunter2@bucket/".into(), options };
        assert!(!format!("{spec:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn deleting_quietly_takes_what_is_not_there() {
        let (_dir, stores) = stores();
        let (store, prefix) = stores.store_for(stores.default_spec()).unwrap();
        delete_quietly(store.as_ref(), &prefix.join("nothing")).await;
    }
}
