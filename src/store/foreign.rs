//! Objects that others wrote: from what a user names (a file, a folder, a pattern) to the objects that are meant.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;

use super::{StorageSpec, Stores, open, scrub};
use crate::error::{Error, Kind, Result};

/// An object that others wrote.
#[derive(Debug, Clone)]
pub struct ForeignObject {
    /// Its store.
    pub store: Arc<dyn ObjectStore>,
    /// Where it lies in it.
    pub path: Path,
    /// What the user calls it.
    pub uri: String,
}

impl Stores {
    /// The objects that `uri` names, opened with the options of `like`: a file (`s3://bucket/dir/x.orc`; that it is there is
    /// not checked), the files of a folder (`s3://bucket/dir/`), or those of its files whose names match
    /// (`s3://bucket/dir/*.orc`, where `*` stands for any characters and `%2A` for a star). In the order of their names; at
    /// least one. As in Hive, names that begin with `_` or `.` are no data, unless the pattern begins so.
    pub async fn foreign_objects(&self, like: &StorageSpec, uri: &str) -> Result<Vec<ForeignObject>> {
        let shown = scrub(uri);
        let wrong = |text: String| Error::new(Kind::WrongValue, text);
        open::check_uri(uri).map_err(|error| {
            let hint = "write file:///dir/file.orc, s3://bucket/dir/file.orc or the like; a folder ends with '/'";
            Error::new(error.kind(), error.message()).with_hint(hint)
        })?;
        let (folder, name) = uri.rsplit_once('/').ok_or_else(|| wrong(format!("'{shown}' does not name a file")))?;
        let spec = StorageSpec { uri: format!("{folder}/"), ..like.clone() };
        if folder.contains('*') {
            return Err(
                wrong(format!("'{shown}' has a '*' in the name of a folder")).with_hint("'*' may stand in the last part of the URI only")
            );
        }
        // Opening a local store makes its directory, which a slip of the pen must not do.
        open::check_directory(&spec).map_err(|_| {
            Error::new(Kind::Storage, format!("there is no directory for '{shown}'"))
                .with_hint("check the spelling; the server opens the file, on its own machine")
        })?;
        let (store, root) = self.open(&spec)?;
        if !name.is_empty() && !name.contains('*') {
            // Percent signs of a URI stand for bytes of the name.
            let name = Path::from_url_path(name).map_err(|e| wrong(format!("'{shown}': {e}")))?;
            return Ok(vec![ForeignObject { store, path: root.parts().chain(name.parts()).collect(), uri: uri.to_owned() }]);
        }
        let listed = store.list_with_delimiter(Some(&root)).await.map_err(|e| super::error(&like.engine, &shown, e))?;
        let pattern: Option<Vec<String>> = (!name.is_empty()).then(|| name.split('*').map(percent_decoded).collect());
        let hidden = |name: &str| name.starts_with(['_', '.']);
        let meant = |name: &str| match &pattern {
            None => !hidden(name),
            Some(parts) => matches(parts, name) && (!hidden(name) || !parts[0].is_empty()),
        };
        if let (None, Some(inner)) = (&pattern, listed.common_prefixes.iter().filter_map(Path::filename).find(|name| !hidden(name))) {
            return Err(Error::unsupported(format!("taking in '{shown}', which has folders in it ('{inner}'),")).with_hint(
                "name each folder, or the files with 'folder/*': the names of folders in a folder may hold columns, which would be lost",
            ));
        }
        let mut found: Vec<_> = listed.objects.into_iter().filter(|object| object.location.filename().is_some_and(meant)).collect();
        if found.is_empty() {
            let what = if pattern.is_some() { "no file matches" } else { "there are no files in" };
            return Err(Error::new(Kind::Storage, format!("{what} '{shown}'"))
                .with_hint("check the spelling; names that begin with '_' or '.' are left out"));
        }
        found.sort_by(|a, b| a.location.cmp(&b.location));
        let object = |path: Path| ForeignObject {
            store: Arc::clone(&store),
            uri: format!("{folder}/{}", path.filename().unwrap_or_default()),
            path,
        };
        Ok(found.into_iter().map(|meta| object(meta.location)).collect())
    }
}

/// Does the name match the parts of a pattern between its stars? In one pass: each part is taken where it first occurs.
fn matches(parts: &[String], name: &str) -> bool {
    let [first, middle @ .., last] = parts else { return parts.first().is_some_and(|only| only == name) };
    let Some(mut rest) = name.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        match rest.split_once(part.as_str()) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).filter(|_| byte == b'%').and_then(|hex| hex::decode(hex).ok());
        at += if hex.is_some() { 3 } else { 1 };
        out.extend(hex.unwrap_or_else(|| vec![byte]));
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::Config;

    fn all_of(pattern: &str, name: &str) -> bool {
        matches(&pattern.split('*').map(percent_decoded).collect::<Vec<_>>(), name)
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name) in [
            ("*", "x"),
            ("*.orc", "a.orc"),
            ("part-*-c000*", "part-1-c000.orc"),
            ("a*a", "aa"),
            ("**b", "ab"),
            ("a%2Ab*", "a*bc"),
            ("%C3%A4*", "ä"),
        ] {
            assert!(all_of(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*.orc", "a.orcs"), ("a*a", "a"), ("a*b*c", "acb"), ("A*", "a"), ("a%2A*", "ab"), ("?*", "a")] {
            assert!(!all_of(pattern, name), "{pattern} {name}");
        }
        let long = "a".repeat(100_000);
        assert!(!all_of(&format!("{}b", "*a".repeat(1000)), &long));
    }

    #[tokio::test]
    async fn a_folder_and_a_pattern_name_the_data_files_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let base = format!("file://{}", dir.path().display());
        for name in ["b.orc", "a.orc", "c.txt", "_SUCCESS", ".a.orc.crc"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        let stores = Stores::with_faults(&Config::default(), None);
        let like = StorageSpec { engine: "OSS".into(), uri: base.clone(), options: BTreeMap::new() };
        let names = async |uri: String| {
            let found = stores.foreign_objects(&like, &uri).await?;
            Ok::<_, Error>(found.iter().map(|o| o.uri.strip_prefix(&format!("{base}/")).unwrap().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(names(format!("{base}/")).await.unwrap(), ["a.orc", "b.orc", "c.txt"]);
        assert_eq!(names(format!("{base}/*.orc")).await.unwrap(), ["a.orc", "b.orc"]);
        assert_eq!(names(format!("{base}/_*")).await.unwrap(), ["_SUCCESS"]);
        assert_eq!(names(format!("{base}/not%20there")).await.unwrap(), ["not%20there"]);
        for (uri, kind) in [
            (format!("{base}/*.parquet"), Kind::Storage),
            (format!("{base}/typo/x.orc"), Kind::Storage),
            (format!("{base}/*/x.orc"), Kind::WrongValue),
            ("x.orc".into(), Kind::WrongValue),
            ("dir/x.orc".into(), Kind::WrongValue),
            ("flie:///x.orc".into(), Kind::WrongValue),
            ("s3:///x.orc".into(), Kind::WrongValue),
        ] {
            let error = names(uri.clone()).await.unwrap_err();
            assert!(error.kind() == kind && error.hint().is_some(), "{uri}: {error:?}");
        }
        assert!(!dir.path().join("typo").exists(), "a mistyped folder was made");
        std::fs::create_dir(dir.path().join("year=2020")).unwrap();
        assert_eq!(names(format!("{base}/")).await.unwrap_err().kind(), Kind::Unsupported);
        assert_eq!(names(format!("{base}/*.orc")).await.unwrap(), ["a.orc", "b.orc"]);
    }
}
