//! What an object store says, in our words: the store, the path and the cause, without credentials or signatures.

use std::fmt::Display;

use crate::error::{Error, Kind};

/// Longest cause that is passed on, in characters.
const MOST: usize = 300;

/// The error of an operation on `path` in the file storage `engine`.
pub fn error(engine: &str, path: impl Display, cause: object_store::Error) -> Error {
    use object_store::Error as Cause;
    let place = format!("object '{path}' of file storage {engine}");
    let text = scrub(&chain(&cause));
    let storage = |text: String| Error::new(Kind::Storage, text);
    match cause {
        Cause::NotFound { .. } => {
            storage(format!("{place} is missing")).with_hint("restore it from a backup, or take its file out with ALTER TABLE .. DROP FILE")
        }
        Cause::AlreadyExists { .. } => storage(format!("{place} exists already")),
        Cause::Precondition { .. } => storage(format!("{place} was changed by someone else")),
        Cause::PermissionDenied { .. } | Cause::Unauthenticated { .. } => {
            storage(format!("{place}: access denied: {text}")).with_hint("check the credentials of the file storage")
        }
        _ if is_full(&text) => {
            storage(format!("{place}: no space left on the device")).with_hint("free space and try again; nothing was changed")
        }
        _ => storage(format!("{place}: {text}")),
    }
}

fn is_full(text: &str) -> bool {
    text.contains("No space left on device") || text.contains("os error 28") || text.contains("Disk quota exceeded")
}

/// The error with its sources, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let more = source.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = source.source();
    }
    text
}

/// Takes credentials out of a text: the user part and the query of URLs, and all of an S3 error document but its code
/// and message (it may hold the key and the string that was signed).
pub fn scrub(text: &str) -> String {
    let mut clean = scrub_urls(&scrub_document(text));
    if clean.chars().count() > MOST {
        clean = clean.chars().take(MOST).chain("..".chars()).collect();
    }
    clean
}

fn scrub_document(text: &str) -> String {
    let Some(start) = text.find("<?xml").or_else(|| text.find("<Error>")) else { return text.to_owned() };
    let document = &text[start..];
    let end = document.rfind('>').map_or(document.len(), |at| at + 1);
    let element = |name: &str| {
        let (_, rest) = document.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner.to_owned())
    };
    let said = [element("Code"), element("Message")].into_iter().flatten().collect::<Vec<_>>().join(": ");
    format!("{}{said}{}", &text[..start], &document[end..])
}

fn scrub_urls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ')' | '>' | '<')).unwrap_or(after.len());
        let (url, tail) = after.split_at(end);
        let url = url.split_once('?').map_or(url, |(path, _)| path);
        let authority = url.find('/').unwrap_or(url.len());
        match url[..authority].rfind('@') {
            Some(at) => out.push_str(&url[at + 1..]),
            None => out.push_str(url),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::path::Path;

    #[test]
    fn urls_lose_their_user_and_query() {
        let text = "error sending request for url (https://me:pw@host/b/k?X-Amz-Signature=abc&X-Amz-Credential=def): refused";
        assert_eq!(scrub(text), "error sending request for url (https://host/b/k): refused");
        assert_eq!(scrub("no url here"), "no url here");
    }

    #[test]
    fn an_error_document_keeps_only_code_and_message() {
        let text = "status 403: <?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>no match</Message>\
                    <AWSAccessKeyId>AKIA1</AWSAccessKeyId><StringToSign>zzz</StringToSign></Error> after 3 tries";
        assert_eq!(scrub(text), "status 403: SignatureDoesNotMatch: no match after 3 tries");
    }

    #[test]
    fn the_error_names_store_and_path_and_says_what_to_do() {
        let cause = object_store::Error::NotFound { path: "x".into(), source: "gone".into() };
        let error = error("OSS", Path::from("a/b.orc"), cause);
        assert_eq!(error.kind(), Kind::Storage);
        assert_eq!(error.message(), "object 'a/b.orc' of file storage OSS is missing");
        assert!(error.hint().is_some());
    }

    #[test]
    fn a_full_disk_is_called_so() {
        let full = std::io::Error::from_raw_os_error(28);
        let cause = object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(full) };
        assert!(error("OSS", Path::from("a"), cause).message().contains("no space left"));
    }
}
