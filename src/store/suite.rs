//! What every store must do, as one suite: run it on a new back end before trusting it.
//!
//! It panics with the promise that was broken, and removes what it wrote.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions};

/// Runs the suite below a folder of its own.
pub async fn run(store: Arc<dyn ObjectStore>) {
    let root = Path::from(format!("suite-{}", uuid::Uuid::new_v4().simple()));
    put_then_get(&store, &root).await;
    ranges(&store, &root).await;
    listing(&store, &root).await;
    missing(&store, &root).await;
    only_one_creates(&store, &root).await;
    parts(&store, &root).await;
    let left: Vec<Path> = match store.list(Some(&root)).map_ok(|object| object.location).try_collect().await {
        Ok(left) => left,
        Err(e) => panic!("a listing must work: {e}"),
    };
    for path in left {
        assert!(store.delete(&path).await.is_ok(), "an object can be deleted");
        assert!(matches!(store.head(&path).await, Err(Error::NotFound { .. })), "a deleted object is gone");
    }
}

async fn read(store: &Arc<dyn ObjectStore>, path: &Path) -> Bytes {
    let read = async { store.get(path).await?.bytes().await };
    match read.await {
        Ok(bytes) => bytes,
        Err(e) => panic!("{path} must be readable: {e}"),
    }
}

async fn put(store: &Arc<dyn ObjectStore>, path: &Path, bytes: impl Into<Bytes>) {
    if let Err(e) = store.put(path, bytes.into().into()).await {
        panic!("{path} must be writable: {e}");
    }
}

async fn put_then_get(store: &Arc<dyn ObjectStore>, root: &Path) {
    let path = root.clone().join("a");
    put(store, &path, "first").await;
    put(store, &path, "second").await;
    assert_eq!(read(store, &path).await, "second", "the last put wins");
    put(store, &path, "").await;
    assert!(read(store, &path).await.is_empty(), "an empty object is an object");
}

async fn ranges(store: &Arc<dyn ObjectStore>, root: &Path) {
    let path = root.clone().join("ranges");
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    put(store, &path, bytes.clone()).await;
    let size = store.head(&path).await.map(|meta| meta.size).unwrap_or_default();
    assert_eq!(size, 300_000, "head tells the size");
    for range in [0..1, 65_535..65_537, 299_999..300_000, 0..300_000] {
        let piece = store.get_range(&path, range.clone()).await.unwrap_or_default();
        assert_eq!(piece, bytes[range.start as usize..range.end as usize], "a range is that range: {range:?}");
    }
    let pieces = store.get_ranges(&path, &[10..20, 200_000..200_010, 0..5]).await.unwrap_or_default();
    assert_eq!(pieces, [&bytes[10..20], &bytes[200_000..200_010], &bytes[0..5]], "ranges come in the order asked for");
}

async fn listing(store: &Arc<dyn ObjectStore>, root: &Path) {
    let folder = root.clone().join("list");
    let mut expected = Vec::new();
    for name in ["1", "2", "sub"] {
        let path = if name == "sub" { folder.clone().join("sub").join("3") } else { folder.clone().join(name) };
        put(store, &path, name).await;
        expected.push(path);
    }
    put(store, &root.clone().join("listing-beside"), "x").await;
    let mut found: Vec<Path> = store.list(Some(&folder)).filter_map(|object| async { object.ok().map(|o| o.location) }).collect().await;
    found.sort();
    assert_eq!(found, expected, "a listing shows all below its prefix and nothing beside it");
}

async fn missing(store: &Arc<dyn ObjectStore>, root: &Path) {
    let path = root.clone().join("nothing");
    assert!(matches!(store.get(&path).await, Err(Error::NotFound { .. })), "reading what is not there is NotFound");
    assert!(matches!(store.head(&path).await, Err(Error::NotFound { .. })), "head of what is not there is NotFound");
    let range = store.get_range(&path, 0..1).await;
    assert!(matches!(range, Err(Error::NotFound { .. })), "a range of what is not there is NotFound");
    assert!(matches!(store.delete(&path).await, Ok(()) | Err(Error::NotFound { .. })), "deleting what is not there is no failure");
}

async fn only_one_creates(store: &Arc<dyn ObjectStore>, root: &Path) {
    let path = root.clone().join("once");
    let attempts = (0..16).map(|n: u8| {
        let (store, path) = (store.clone(), path.clone());
        async move { store.put_opts(&path, vec![n].into(), PutOptions::from(PutMode::Create)).await }
    });
    let results = futures::future::join_all(attempts).await;
    let won = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(won, 1, "of many that create one object, one succeeds");
    for lost in results.into_iter().filter_map(Result::err) {
        assert!(matches!(lost, Error::AlreadyExists { .. } | Error::Precondition { .. }), "the others learn that it exists: {lost}");
    }
}

async fn parts(store: &Arc<dyn ObjectStore>, root: &Path) {
    let path = root.clone().join("parts");
    let part: Bytes = vec![7; 5 << 20].into();
    let work = async {
        let mut upload = store.put_multipart(&path).await?;
        upload.put_part(part.clone().into()).await?;
        upload.put_part("end".into()).await?;
        upload.complete().await?;
        let mut given_up = store.put_multipart(&root.clone().join("given-up")).await?;
        given_up.put_part(part.clone().into()).await?;
        given_up.abort().await
    };
    if let Err(e) = work.await {
        panic!("an upload in parts must work: {e}");
    }
    let whole = read(store, &path).await;
    assert_eq!((whole.len(), &whole[whole.len() - 3..]), ((5 << 20) + 3, &b"end"[..]), "parts come together in order");
    let gone = store.head(&root.clone().join("given-up")).await;
    assert!(matches!(gone, Err(Error::NotFound { .. })), "an upload that was given up leaves nothing");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_store_in_memory_passes() {
        run(Arc::new(object_store::memory::InMemory::new())).await;
    }

    /// The lane of a real store: FLASHGATE_TEST_STORE holds `uri key=value ..` (tests/lab/test_stores.py sets it).
    #[tokio::test]
    async fn the_store_of_the_environment_passes() {
        let Ok(text) = std::env::var("FLASHGATE_TEST_STORE") else {
            eprintln!("skipped: FLASHGATE_TEST_STORE names no store");
            return;
        };
        let mut words = text.split_whitespace();
        let uri = words.next().unwrap().to_owned();
        let options = words.map(|word| word.split_once('=').unwrap()).map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let stores = crate::store::Stores::with_faults(&crate::config::Config::default(), None);
        let spec = crate::store::StorageSpec { engine: "S3".into(), uri, options };
        stores.probe(&spec, std::time::Duration::from_secs(30)).await.unwrap();
        run(stores.store_for(&spec).unwrap().0).await;
    }
}
