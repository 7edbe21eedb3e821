//! `ALTER FILESTORAGE x BACKUP`: the list of every file version, written beside the files it names.

use bytes::Bytes;
use datafusion::object_store::{ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};

use super::storage::Cold;
use crate::error::{Error, Kind, Result};
use crate::fault;
use crate::gms::Scope;

/// The list's name under the storage's root (contract, section 4).
pub const LIST: &str = "meta/files_meta.txt";

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupFile {
    /// Object name under the storage's root.
    pub file_name: String,
    /// Commit time.
    pub commit_ts: u64,
    /// When it was replaced or removed, if ever.
    pub remove_ts: Option<u64>,
}

/// The list as stored.
#[derive(Debug, Serialize, Deserialize)]
struct BackupList {
    files: Vec<BackupFile>,
}

/// What a BACKUP wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    /// Where the list lies, under the storage's URI.
    pub path: String,
    /// File versions in the list.
    pub files: u64,
    /// Rows in the files.
    pub rows: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

impl Cold {
    /// What a BACKUP of the storage would list.
    pub async fn plan_backup(&self, engine: &str) -> Result<BackupReport> {
        let place = self.place(engine)?;
        let versions = self.gms.file_versions(&Scope::Engine(place.engine.clone())).await?;
        Ok(BackupReport {
            path: place.path(LIST).to_string(),
            files: versions.len() as u64,
            rows: versions.iter().map(|f| f.rows).sum(),
            bytes: versions.iter().map(|f| f.bytes).sum(),
        })
    }

    /// Writes the list; the old list stays until the new one is whole.
    pub async fn backup(&self, engine: &str) -> Result<BackupReport> {
        let place = self.place(engine)?;
        let versions = self.gms.file_versions(&Scope::Engine(place.engine.clone())).await?;
        let files: Vec<_> = versions
            .iter()
            .map(|f| BackupFile { file_name: f.path.clone(), commit_ts: f.commit_ts.0, remove_ts: f.remove_ts.map(|t| t.0) })
            .collect();
        let report = BackupReport {
            path: place.path(LIST).to_string(),
            files: files.len() as u64,
            rows: versions.iter().map(|f| f.rows).sum(),
            bytes: versions.iter().map(|f| f.bytes).sum(),
        };
        let json = serde_json::to_vec(&BackupList { files }).map_err(|e| Error::internal(e.to_string()))?;
        fault::point("cold.backup.before_put");
        let path = place.path(LIST);
        place.store.put(&path, PutPayload::from(Bytes::from(json))).await.map_err(|e| place.error(LIST, e))?;
        fault::point("cold.backup.after_put");
        Ok(report)
    }

    /// Reads the list of the last BACKUP; None when there was none.
    pub async fn read_backup(&self, engine: &str) -> Result<Option<Vec<BackupFile>>> {
        use datafusion::object_store::Error as StoreError;
        let place = self.place(engine)?;
        let bytes = match place.store.get(&place.path(LIST)).await {
            Ok(found) => found.bytes().await.map_err(|e| place.error(LIST, e))?,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(place.error(LIST, error)),
        };
        let list: BackupList = serde_json::from_slice(&bytes).map_err(|e| {
            Error::new(Kind::Storage, format!("{LIST} of file storage {engine} is damaged: {e}"))
                .with_hint(format!("write it again with ALTER FILESTORAGE {engine} BACKUP"))
        })?;
        Ok(Some(list.files))
    }
}
