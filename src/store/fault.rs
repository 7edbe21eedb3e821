//! Faults on purpose, for tests: a store that answers errors, answers late, or is full.
//!
//! A plan is a list of rules, separated by commas: `operation:fault[@part of the path][*times]`, where an operation is
//! `put`, `get`, `delete`, `list` or `any`, and a fault is `error`, `full`, `missing` or `slow=500ms`. Without
//! `*times` a rule never ends. Example: `put:full@orders*1,get:slow=2s`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result, UploadPart,
};

use crate::config::Span;
use crate::error::Kind;

/// What a rule applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Put,
    Get,
    Delete,
    List,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    Error,
    Full,
    Missing,
    Slow(Duration),
}

#[derive(Debug)]
struct Rule {
    /// None: any.
    operation: Option<Operation>,
    fault: Fault,
    /// Part of the paths that it hits.
    part: String,
    /// How often it still hits.
    left: AtomicU64,
}

/// The faults that are to happen.
#[derive(Debug, Default)]
pub struct Plan {
    rules: Vec<Rule>,
}

impl FromStr for Plan {
    type Err = crate::error::Error;

    fn from_str(text: &str) -> Result<Plan, crate::error::Error> {
        let rules: Option<Vec<Rule>> = text.split(',').map(parse_rule).collect();
        let wrong =
            || crate::error::Error::new(Kind::WrongValue, format!("'{text}' is no fault plan; write like put:full@orders*1,get:slow=2s"));
        Ok(Plan { rules: rules.ok_or_else(wrong)? })
    }
}

fn parse_rule(text: &str) -> Option<Rule> {
    let (text, times) = match text.rsplit_once('*') {
        Some((text, times)) => (text, times.parse().ok()?),
        None => (text, u64::MAX),
    };
    let (text, part) = text.split_once('@').unwrap_or((text, ""));
    let (operation, fault) = text.trim().split_once(':')?;
    let operation = match operation {
        "put" => Some(Operation::Put),
        "get" => Some(Operation::Get),
        "delete" => Some(Operation::Delete),
        "list" => Some(Operation::List),
        "any" => None,
        _ => return None,
    };
    let fault = match fault.split_once('=') {
        Some(("slow", span)) => Fault::Slow(span.parse::<Span>().ok()?.0),
        None if fault == "error" => Fault::Error,
        None if fault == "full" => Fault::Full,
        None if fault == "missing" => Fault::Missing,
        _ => return None,
    };
    Some(Rule { operation, fault, part: part.to_owned(), left: AtomicU64::new(times) })
}

impl Plan {
    /// Does to this request what the rules say: nothing, a delay, or an error.
    async fn strike(&self, operation: Operation, path: &str) -> Result<()> {
        for rule in &self.rules {
            if rule.operation.is_some_and(|only| only != operation) || !path.contains(&rule.part) {
                continue;
            }
            if rule.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err() {
                continue;
            }
            let source = match rule.fault {
                Fault::Slow(wait) => {
                    tokio::time::sleep(wait).await;
                    continue;
                }
                Fault::Missing => return Err(Error::NotFound { path: path.into(), source: "injected".into() }),
                Fault::Full => std::io::Error::from_raw_os_error(28),
                Fault::Error => std::io::Error::other("500 Internal Server Error (injected)"),
            };
            return Err(Error::Generic { store: "FaultStore", source: Box::new(source) });
        }
        Ok(())
    }
}

/// A store with faults.
#[derive(Debug)]
pub struct FaultStore {
    inner: Arc<dyn ObjectStore>,
    plan: Arc<Plan>,
}

impl FaultStore {
    pub fn new(inner: Arc<dyn ObjectStore>, plan: Arc<Plan>) -> FaultStore {
        FaultStore { inner, plan }
    }
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.plan.strike(Operation::Put, location.as_ref()).await?;
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(FaultUpload { inner, plan: self.plan.clone(), location: location.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.plan.strike(Operation::Get, location.as_ref()).await?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let plan = self.plan.clone();
        let checked = locations.and_then(move |location| {
            let plan = plan.clone();
            async move { plan.strike(Operation::Delete, location.as_ref()).await.map(|()| location) }
        });
        self.inner.delete_stream(checked.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let plan = self.plan.clone();
        let path = prefix.map(ToString::to_string).unwrap_or_default();
        let objects = self.inner.list(prefix);
        futures::stream::once(async move { plan.strike(Operation::List, &path).await.map(|()| objects) }).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.plan.strike(Operation::List, prefix.map_or("", Path::as_ref)).await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.plan.strike(Operation::Put, to.as_ref()).await?;
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct FaultUpload {
    inner: Box<dyn MultipartUpload>,
    plan: Arc<Plan>,
    location: Path,
}

#[async_trait]
impl MultipartUpload for FaultUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let part = self.inner.put_part(data);
        let (plan, location) = (self.plan.clone(), self.location.clone());
        Box::pin(async move {
            plan.strike(Operation::Put, location.as_ref()).await?;
            part.await
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.plan.strike(Operation::Put, self.location.as_ref()).await?;
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    fn store(plan: &str) -> FaultStore {
        FaultStore::new(Arc::new(InMemory::new()), Arc::new(plan.parse().unwrap()))
    }

    #[tokio::test]
    async fn without_rules_it_passes_the_suite() {
        crate::store::suite::run(Arc::new(FaultStore::new(Arc::new(InMemory::new()), Arc::default()))).await;
    }

    #[tokio::test]
    async fn a_full_disk_hits_only_its_paths_and_only_so_often() {
        let store = store("put:full@orders*1");
        store.put(&Path::from("other"), "x".into()).await.unwrap();
        let full = store.put(&Path::from("orders/1"), "x".into()).await.unwrap_err();
        assert!(crate::store::error("OSS", Path::from("orders/1"), full).message().contains("no space left"));
        store.put(&Path::from("orders/1"), "x".into()).await.unwrap();
    }

    #[tokio::test]
    async fn reads_deletes_and_lists_fail_by_their_own_rules() {
        let store = store("get:error,delete:error,list:error");
        let path = Path::from("a");
        store.put(&path, "x".into()).await.unwrap();
        assert!(store.get(&path).await.is_err());
        assert!(store.delete(&path).await.is_err());
        assert!(store.list(None).next().await.unwrap().is_err());
    }

    #[test]
    fn a_wrong_plan_is_an_error() {
        for text in ["", "put", "put:explode", "jump:error", "get:slow", "put:error*x"] {
            assert!(text.parse::<Plan>().is_err(), "{text}");
        }
    }
}
