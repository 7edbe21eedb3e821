//! The engines and option keys of `CREATE FILESTORAGE` (PolarDB-X contract, section 1).

use std::collections::BTreeMap;

use crate::config::keys::nearest_of;
use crate::error::{Error, Kind, Result};

/// Engine names that a file storage may have.
pub const ENGINES: &[&str] = &["OSS", "S3", "LOCAL_DISK", "EXTERNAL_DISK", "NFS", "ABS"];

/// Is it the name of one, in any case?
pub fn is_engine(name: &str) -> bool {
    ENGINES.iter().any(|engine| engine.eq_ignore_ascii_case(name))
}

/// Keys of the WITH list.
pub const KEYS: &[&str] = &[
    "ENDPOINT",
    "FILE_URI",
    "FILE_SYSTEM_CONF",
    "ACCESS_KEY_ID",
    "ACCESS_KEY_SECRET",
    "PRIORITY",
    "REGION_ID",
    "AVAILABLE_ZONE_ID",
    "CACHE_POLICY",
    "DELETE_POLICY",
    "STATUS",
    "ENDPOINT_ORDINAL",
    "AZURE_CONNECTION_STRING",
    "AZURE_CONTAINER_NAME",
];

/// May this key's value never be shown?
pub fn is_secret(key: &str) -> bool {
    matches!(key.to_uppercase().as_str(), "ACCESS_KEY_ID" | "ACCESS_KEY_SECRET" | "AZURE_CONNECTION_STRING" | "FILE_SYSTEM_CONF")
}

/// Checks engine and options of CREATE FILESTORAGE. Keys may be written in any case. An unknown key is an error that
/// names the nearest; FILE_URI is required, except for ABS with a container.
pub fn validate_options(engine: &str, options: &BTreeMap<String, String>) -> Result<()> {
    let wrong = |text: String| Error::new(Kind::WrongValue, text);
    if !ENGINES.iter().any(|known| known.eq_ignore_ascii_case(engine)) {
        let error = Error::new(Kind::UnknownFileStorage, format!("unknown file storage engine '{engine}'"));
        return Err(error.with_hint(format!("the engines are {}", ENGINES.join(", "))));
    }
    for key in options.keys() {
        if !KEYS.iter().any(|known| known.eq_ignore_ascii_case(key)) {
            let error = wrong(format!("unknown option '{key}' of a file storage"));
            return Err(match nearest_of(key, KEYS.iter().copied()) {
                Some(nearest) => error.with_hint(format!("did you mean {nearest}?")),
                None => error.with_hint(format!("the options are {}", KEYS.join(", "))),
            });
        }
    }
    let value = |name: &str| options.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
    for (key, most) in [("CACHE_POLICY", 3), ("DELETE_POLICY", 2), ("STATUS", 2), ("PRIORITY", i64::MAX), ("ENDPOINT_ORDINAL", i64::MAX)] {
        if let Some(text) = value(key)
            && !text.trim().parse::<i64>().is_ok_and(|n| (0..=most).contains(&n))
        {
            let range = if most == i64::MAX { "a whole number from 0 on".to_owned() } else { format!("a whole number from 0 to {most}") };
            return Err(wrong(format!("option {key} is '{text}'; it takes {range}")));
        }
    }
    if value("ACCESS_KEY_ID").is_some() != value("ACCESS_KEY_SECRET").is_some() {
        return Err(wrong("ACCESS_KEY_ID and ACCESS_KEY_SECRET belong together; give both or neither".into()));
    }
    match uri_of(engine, options) {
        Some(uri) => super::open::check_uri(&uri),
        None => {
            Err(wrong(format!("file storage {} needs the option FILE_URI", engine.to_uppercase())).with_hint("like 's3://bucket/prefix/'"))
        }
    }
}

/// Where a file storage with these options lies; None: they do not say.
pub fn uri_of(engine: &str, options: &BTreeMap<String, String>) -> Option<String> {
    let value = |name: &str| options.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
    let container = || value("AZURE_CONTAINER_NAME").filter(|_| engine.eq_ignore_ascii_case("ABS"));
    value("FILE_URI").map(str::to_owned).or_else(|| container().map(|container| format!("az://{container}/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(engine: &str, pairs: &[(&str, &str)]) -> Result<()> {
        validate_options(engine, &pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn good_options_pass_in_any_case() {
        check("oss", &[("file_uri", "file:///tmp/x/")]).unwrap();
        check("S3", &[("FILE_URI", "s3://b/p/"), ("ENDPOINT", "http://127.0.0.1:1"), ("ACCESS_KEY_ID", "a"), ("ACCESS_KEY_SECRET", "b")])
            .unwrap();
        check("LOCAL_DISK", &[("FILE_URI", "file:///tmp/x/")]).unwrap();
        check("ABS", &[("AZURE_CONTAINER_NAME", "c"), ("AZURE_CONNECTION_STRING", "x=y")]).unwrap();
    }

    #[test]
    fn a_container_says_where_an_azure_storage_lies() {
        let options = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(uri_of("ABS", &options(&[("AZURE_CONTAINER_NAME", "c")])).as_deref(), Some("az://c/"));
        assert_eq!(uri_of("ABS", &options(&[("AZURE_CONTAINER_NAME", "c"), ("FILE_URI", "az://c/p/")])).as_deref(), Some("az://c/p/"));
        assert_eq!(uri_of("OSS", &options(&[("AZURE_CONTAINER_NAME", "c")])), None);
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_the_nearest() {
        let error = check("OSS", &[("FILE_URL", "file:///x/")]).unwrap_err();
        assert_eq!(error.hint(), Some("did you mean FILE_URI?"));
        assert_eq!(check("HDFSX", &[]).unwrap_err().kind(), Kind::UnknownFileStorage);
    }

    #[test]
    fn what_is_missing_or_out_of_range_is_named() {
        assert!(check("OSS", &[]).unwrap_err().message().contains("FILE_URI"));
        assert!(check("LOCAL_DISK", &[]).unwrap_err().message().contains("FILE_URI"));
        assert!(check("S3", &[("AZURE_CONTAINER_NAME", "c")]).unwrap_err().message().contains("FILE_URI"));
        assert!(check("OSS", &[("FILE_URI", "file:///x/"), ("CACHE_POLICY", "7")]).unwrap_err().message().contains("CACHE_POLICY"));
        assert!(check("S3", &[("FILE_URI", "s3://b/"), ("ACCESS_KEY_ID", "a")]).is_err());
        assert!(check("S3", &[("FILE_URI", "ftp://b/")]).unwrap_err().message().contains("ftp"));
    }
}
