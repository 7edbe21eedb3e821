//! A local directory as a store whose `put` answers only once the object is on disk.
//!
//! `object_store`'s local store renames a finished file into place but syncs neither the file nor its directory. Rule
//! 3 of the constitution (data before metadata) needs both before a row may point to the object.

use std::fmt;
use std::fs::File;
use std::path::{Path as FsPath, PathBuf};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result, UploadPart,
};

/// The local store with syncs.
#[derive(Debug)]
pub struct DurableStore {
    inner: LocalFileSystem,
    /// Absolute; syncs of directories end here.
    root: PathBuf,
}

impl DurableStore {
    /// A store in `dir`, which is created when it is missing.
    pub fn new(dir: &FsPath) -> std::io::Result<DurableStore> {
        std::fs::create_dir_all(dir)?;
        let root = dir.canonicalize()?;
        let inner = LocalFileSystem::new_with_prefix(&root).map_err(std::io::Error::other)?;
        Ok(DurableStore { inner, root })
    }

    fn synced(&self, location: &Path) -> Result<Synced> {
        Ok(Synced { file: self.inner.path_to_filesystem(location)?, root: self.root.clone() })
    }
}

/// A file that is to be synced, with the directories above it up to the store's root (a `put` may have made them).
#[derive(Debug, Clone)]
struct Synced {
    file: PathBuf,
    root: PathBuf,
}

impl Synced {
    async fn sync(self) -> Result<()> {
        let work = tokio::task::spawn_blocking(move || {
            File::open(&self.file)?.sync_all()?;
            for dir in self.file.ancestors().skip(1) {
                File::open(dir)?.sync_all()?;
                if dir == self.root {
                    break;
                }
            }
            Ok::<(), std::io::Error>(())
        });
        work.await?.map_err(|source| Error::Generic { store: "LocalFileSystem", source: Box::new(source) })
    }
}

impl fmt::Display for DurableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DurableStore({})", self.root.display())
    }
}

#[async_trait]
impl ObjectStore for DurableStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let result = self.inner.put_opts(location, payload, opts).await?;
        self.synced(location)?.sync().await?;
        Ok(result)
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(DurableUpload { inner, target: self.synced(location)? }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[std::ops::Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await?;
        self.synced(to)?.sync().await
    }
}

#[derive(Debug)]
struct DurableUpload {
    inner: Box<dyn MultipartUpload>,
    target: Synced,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.inner.complete().await?;
        self.target.clone().sync().await?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

/// In tests: a durable store in a temporary directory.
#[cfg(test)]
pub(crate) fn temporary() -> (tempfile::TempDir, std::sync::Arc<dyn ObjectStore>) {
    let dir = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(DurableStore::new(dir.path()).unwrap());
    (dir, store)
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt;

    #[tokio::test]
    async fn it_passes_the_suite() {
        let (_dir, store) = temporary();
        crate::store::suite::run(store).await;
    }

    #[tokio::test]
    async fn a_finished_upload_is_whole_and_an_unfinished_one_is_not_there() {
        let (_dir, store) = temporary();
        let path = Path::from("deep/er/x");
        let mut upload = store.put_multipart(&path).await.unwrap();
        upload.put_part("part one ".into()).await.unwrap();
        assert!(matches!(store.head(&path).await, Err(Error::NotFound { .. })));
        upload.put_part("part two".into()).await.unwrap();
        upload.complete().await.unwrap();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "part one part two");
    }
}
