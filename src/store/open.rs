//! From a URI and options to a store of the `object_store` crate.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use url::Url;

use super::durable::DurableStore;
use super::{Opened, StorageSpec, scrub};
use crate::error::{Error, Kind, Result};

/// How long one request may take; large ranges of slow stores included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request is repeated, waits included, before its error is passed on.
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_RETRIES: usize = 6;

fn wrong(text: String) -> Error {
    Error::new(Kind::WrongValue, text)
}

fn parse(uri: &str) -> Result<Url> {
    Url::parse(uri).map_err(|e| wrong(format!("'{}' is not a URI: {e}", scrub(uri))).with_hint("write file:///dir/ or s3://bucket/prefix/"))
}

/// Is this the URI of a store? Opens nothing.
pub(super) fn check_uri(uri: &str) -> Result<()> {
    let url = parse(uri)?;
    match url.scheme() {
        "file" => directory(&url).map(drop),
        "s3" | "oss" | "gs" | "az" => bucket(&url).map(drop),
        other => Err(wrong(format!("the scheme '{other}' of a file storage's URI is unknown")).with_hint("use file, s3, oss, gs or az")),
    }
}

/// The store itself and the path that the URI names in it.
pub(super) fn open(spec: &StorageSpec) -> Result<Opened> {
    let url = parse(&spec.uri)?;
    if url.password().is_some() || url.query().is_some() {
        return Err(wrong(format!("the URI '{}' holds credentials or parameters", scrub(&spec.uri)))
            .with_hint("give them as options of the file storage"));
    }
    match url.scheme() {
        "file" => local(spec, &url),
        "s3" => Ok((amazon(spec, &url, false)?, prefix(&url)?)),
        "oss" => Ok((amazon(spec, &url, true)?, prefix(&url)?)),
        "gs" => Ok((google(spec, &url)?, prefix(&url)?)),
        "az" => Ok((azure(spec, &url)?, prefix(&url)?)),
        _ => Err(check_uri(&spec.uri).err().unwrap_or_else(|| Error::internal("a checked scheme has no store"))),
    }
}

/// A local store's directory must be there: an empty mount point is not an empty store.
pub(super) fn check_directory(spec: &StorageSpec) -> Result<()> {
    let url = parse(&spec.uri)?;
    if url.scheme() != "file" {
        return Ok(());
    }
    let dir = directory(&url)?;
    if dir.is_dir() {
        return Ok(());
    }
    Err(Error::new(Kind::Storage, format!("the directory {} of file storage {} is missing", dir.display(), spec.engine)))
}

fn directory(url: &Url) -> Result<PathBuf> {
    if url.host_str().is_some_and(|host| !host.is_empty() && host != "localhost") {
        return Err(wrong(format!("'{url}' names a host")).with_hint("a local directory has three slashes: file:///dir/"));
    }
    url.to_file_path().map_err(|()| wrong(format!("'{url}' is not an absolute directory")))
}

fn bucket(url: &Url) -> Result<&str> {
    url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong(format!("'{url}' names no bucket")))
}

fn prefix(url: &Url) -> Result<Path> {
    Path::from_url_path(url.path()).map_err(|e| wrong(format!("the path of '{url}' cannot be used: {e}")))
}

fn local(spec: &StorageSpec, url: &Url) -> Result<Opened> {
    let dir = directory(url)?;
    let store = DurableStore::new(&dir).map_err(|cause| {
        Error::new(Kind::Storage, format!("cannot use the directory {} for file storage {}: {cause}", dir.display(), spec.engine))
            .with_hint("create it, or give this process the right to")
    })?;
    Ok((Arc::new(store), Path::default()))
}

fn client() -> ClientOptions {
    ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_connect_timeout(CONNECT_TIMEOUT).with_allow_http(true)
}

fn retry() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: MAX_RETRIES, retry_timeout: RETRY_TIMEOUT }
}

/// S3 and what speaks its protocol. OSS takes only virtual-hosted requests, where the endpoint begins with the bucket.
fn amazon(spec: &StorageSpec, url: &Url, oss: bool) -> Result<Arc<dyn ObjectStore>> {
    let option = |key: &str| spec.options.get(key).filter(|value| !value.is_empty());
    let bucket = bucket(url)?;
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_client_options(client())
        .with_retry(retry())
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_virtual_hosted_style_request(oss);
    if let (Some(id), Some(secret)) = (option("ACCESS_KEY_ID"), option("ACCESS_KEY_SECRET")) {
        builder = builder.with_access_key_id(id).with_secret_access_key(secret);
    }
    builder = match (option("REGION_ID"), oss) {
        (Some(region), _) => builder.with_region(region),
        (None, true) => builder.with_region("oss"),
        (None, false) => builder.with_region(std::env::var("AWS_REGION").unwrap_or_else(|_| "us-east-1".into())),
    };
    match option("ENDPOINT") {
        Some(endpoint) => {
            let endpoint = with_scheme(endpoint);
            builder = builder.with_endpoint(if oss { virtual_host(&endpoint, bucket)? } else { endpoint });
        }
        None if oss => {
            return Err(
                wrong(format!("file storage {} needs the option ENDPOINT", spec.engine)).with_hint("like 'oss-cn-hangzhou.aliyuncs.com'")
            );
        }
        None => {}
    }
    Ok(Arc::new(builder.build().map_err(|e| cannot(spec, e))?))
}

fn with_scheme(endpoint: &str) -> String {
    if endpoint.contains("://") { endpoint.trim_end_matches('/').to_owned() } else { format!("https://{}", endpoint.trim_end_matches('/')) }
}

/// `https://host` -> `https://bucket.host`.
fn virtual_host(endpoint: &str, bucket: &str) -> Result<String> {
    let (scheme, host) = endpoint.split_once("://").ok_or_else(|| wrong(format!("the endpoint '{endpoint}' has no scheme")))?;
    if host.starts_with(&format!("{bucket}.")) { Ok(endpoint.to_owned()) } else { Ok(format!("{scheme}://{bucket}.{host}")) }
}

fn google(spec: &StorageSpec, url: &Url) -> Result<Arc<dyn ObjectStore>> {
    let mut builder =
        GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket(url)?).with_client_options(client()).with_retry(retry());
    if let Some(endpoint) = spec.options.get("ENDPOINT").filter(|value| !value.is_empty()) {
        builder = builder.with_base_url(&with_scheme(endpoint));
    }
    // A service account's key is a JSON document; the contract has no key of its own for it.
    if let Some(account) = spec.options.get("ACCESS_KEY_SECRET").filter(|value| value.trim_start().starts_with('{')) {
        builder = builder.with_service_account_key(account);
    } else if spec.options.contains_key("ENDPOINT") && !spec.options.contains_key("ACCESS_KEY_SECRET") {
        // An emulator takes no credentials.
        builder = builder.with_skip_signature(true);
    }
    Ok(Arc::new(builder.build().map_err(|e| cannot(spec, e))?))
}

/// `az://container/prefix/` with the account's connection string.
fn azure(spec: &StorageSpec, url: &Url) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_container_name(bucket(url)?)
        .with_client_options(client())
        .with_retry(retry())
        .with_allow_http(true);
    if let Some(text) = spec.options.get("AZURE_CONNECTION_STRING") {
        let mut endpoint = None;
        let (mut account, mut scheme, mut suffix) = (None, "https", "core.windows.net");
        for part in text.split(';').filter(|part| !part.trim().is_empty()) {
            let (key, value) =
                part.split_once('=').ok_or_else(|| wrong("AZURE_CONNECTION_STRING must be Key=Value pairs, separated by ';'".into()))?;
            match key.trim().to_lowercase().as_str() {
                "accountname" => account = Some(value),
                "accountkey" => builder = builder.with_access_key(value),
                "blobendpoint" => endpoint = Some(value.trim_end_matches('/').to_owned()),
                "sharedaccesssignature" => builder = builder.with_config(AzureConfigKey::SasKey, value),
                "defaultendpointsprotocol" => scheme = value,
                "endpointsuffix" => suffix = value,
                _ => {}
            }
        }
        let account = account.ok_or_else(|| wrong("AZURE_CONNECTION_STRING has no AccountName".into()))?;
        builder = builder.with_account(account).with_endpoint(endpoint.unwrap_or_else(|| format!("{scheme}://{account}.blob.{suffix}")));
    }
    Ok(Arc::new(builder.build().map_err(|e| cannot(spec, e))?))
}

fn cannot(spec: &StorageSpec, cause: object_store::Error) -> Error {
    Error::new(Kind::Storage, format!("cannot open file storage {}: {}", spec.engine, scrub(&cause.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(uri: &str, options: &[(&str, &str)]) -> StorageSpec {
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        StorageSpec { engine: "OSS".into(), uri: uri.into(), options }
    }

    #[tokio::test]
    async fn every_scheme_opens_with_its_prefix() {
        let keys = [("ACCESS_KEY_ID", "id"), ("ACCESS_KEY_SECRET", "secret"), ("ENDPOINT", "http://127.0.0.1:1")];
        for (uri, options, shown) in [
            ("s3://bucket/a/b/", &keys[..], "AmazonS3(bucket)"),
            ("oss://bucket/a/b/", &keys[..], "AmazonS3(bucket)"),
            ("gs://bucket/a/b", &keys[2..], "GoogleCloudStorage(bucket)"),
            (
                "az://box/a/b/",
                &[("AZURE_CONNECTION_STRING", "AccountName=n;AccountKey=a2V5;EndpointSuffix=example.com")][..],
                "MicrosoftAzure { account: n, container: box }",
            ),
        ] {
            let (store, prefix) = open(&spec(uri, options)).unwrap();
            assert_eq!(prefix.as_ref(), "a/b", "{uri}");
            assert_eq!(store.to_string(), shown);
        }
    }

    #[test]
    fn credentials_in_a_uri_are_refused_without_repeating_them() {
        let error = open(&spec("s3://me:hunter2@bucket/", &[])).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn oss_puts_the_bucket_before_the_host() {
        assert_eq!(virtual_host("https://oss-cn.example.com", "b").unwrap(), "https://b.oss-cn.example.com");
        assert_eq!(virtual_host("https://b.oss-cn.example.com", "b").unwrap(), "https://b.oss-cn.example.com");
        assert!(open(&spec("oss://b/", &[])).unwrap_err().message().contains("ENDPOINT"));
    }

    #[test]
    fn a_wrong_uri_says_what_is_wrong() {
        assert!(check_uri("/just/a/path").is_err());
        assert!(check_uri("file://dir/").unwrap_err().hint().unwrap().contains("three slashes"));
        assert!(check_uri("s3:///x/").unwrap_err().message().contains("no bucket"));
    }
}
