//! Users: who may connect, kept as verifiers in the metadata database, never as text.
//!
//! The list is read again when it is older than [`FRESH`], so that what `flashgate user` does in another process
//! takes effect on a running server at the next login. When the metadata database does not answer, nobody logs in by
//! guess: the last list stays, and an error is logged.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::RwLock;

mod crypt;
mod verifier;

pub use verifier::{Scram, Verifier, fast_digest};

use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::gms::Gms;

/// How old the list may be when a client logs in.
const FRESH: Duration = Duration::from_millis(250);
/// MySQL's longest user name, in characters; PostgreSQL's is longer.
const LONGEST_NAME: usize = 32;

/// A user and how to check its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Compared exactly, case included, as both databases do.
    pub name: String,
    pub verifier: Verifier,
}

/// Where users are kept: the metadata database; a map in tests.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// All users: name and verifier as JSON.
    async fn users(&self) -> Result<Vec<(String, String)>>;
    /// Adds a user or replaces its verifier.
    async fn put_user(&self, name: &str, verifier: &str) -> Result<()>;
    /// False: there was none.
    async fn remove_user(&self, name: &str) -> Result<bool>;
}

#[async_trait]
impl UserStore for Gms {
    async fn users(&self) -> Result<Vec<(String, String)>> {
        Ok(Gms::users(self).await?.into_iter().map(|user| (user.name, user.verifier)).collect())
    }

    async fn put_user(&self, name: &str, verifier: &str) -> Result<()> {
        Gms::put_user(self, name, verifier).await
    }

    async fn remove_user(&self, name: &str) -> Result<bool> {
        Gms::remove_user(self, name).await
    }
}

/// All users of this instance.
pub struct Users {
    store: Arc<dyn UserStore>,
    loopback_only: bool,
    list: RwLock<List>,
}

struct List {
    users: HashMap<String, Arc<User>>,
    /// SHA256(SHA256(password)) of users who authenticated fully since this process started.
    fast: HashMap<String, [u8; 32]>,
    read: Instant,
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Users").field("known", &self.list.read().users.len()).finish_non_exhaustive()
    }
}

impl Users {
    /// Reads the list.
    pub async fn open(store: Arc<dyn UserStore>, config: &Config) -> Result<Users> {
        let list = List { users: read(store.as_ref()).await?, fast: HashMap::new(), read: Instant::now() };
        Ok(Users { store, loopback_only: config.loopback_only(), list: RwLock::new(list) })
    }

    /// Reads the list again; a changed or removed user loses its fast digest.
    pub async fn refresh(&self) -> Result<()> {
        let users = read(self.store.as_ref()).await?;
        let mut list = self.list.write();
        let List { users: before, fast, read } = &mut *list;
        fast.retain(|name, _| users.get(name).is_some_and(|user| before.get(name) == Some(user)));
        *before = users;
        *read = Instant::now();
        Ok(())
    }

    /// The user of that name, as of at most [`FRESH`] ago.
    pub async fn find(&self, name: &str) -> Option<Arc<User>> {
        self.refresh_if_old().await;
        self.list.read().users.get(name).cloned()
    }

    async fn refresh_if_old(&self) {
        let age = self.list.read().read.elapsed();
        if age > FRESH
            && let Err(error) = self.refresh().await
        {
            tracing::error!(%error, "the list of users could not be read; the last one stays");
        }
    }

    /// No users are configured and only loopback is listened on: root may connect with an empty password.
    /// Call it after [`Users::find`], which brings the list up to date.
    pub fn passwordless_root(&self) -> bool {
        self.loopback_only && self.list.read().users.is_empty()
    }

    /// How many users there are.
    pub fn count(&self) -> usize {
        self.list.read().users.len()
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.list.read().users.keys().cloned().collect();
        names.sort();
        names
    }

    /// SHA256(SHA256(password)) of a user who authenticated fully before; in memory only.
    pub fn cached_fast(&self, name: &str) -> Option<[u8; 32]> {
        self.list.read().fast.get(name).copied()
    }

    /// Remembers the digest for the fast path; a user who is gone is not remembered.
    pub fn remember_fast(&self, name: &str, digest: [u8; 32]) {
        let mut list = self.list.write();
        if list.users.contains_key(name) {
            list.fast.insert(name.to_owned(), digest);
        }
    }

    /// Full authentication. Costs some milliseconds of CPU by design: call it off the async threads where many log in.
    pub fn verify_password(&self, user: &User, password: &[u8]) -> bool {
        let right = user.verifier.check(password);
        // Only for the verifier that was checked: the user may have been changed meanwhile.
        if right && self.list.read().users.get(&user.name).is_some_and(|now| **now == *user) {
            self.remember_fast(&user.name, fast_digest(password));
        }
        right
    }

    /// Adds a user; one of that name is an error.
    pub async fn add(&self, name: &str, password: &str) -> Result<()> {
        check_name(name)?;
        self.refresh().await?;
        if self.list.read().users.contains_key(name) {
            return Err(
                Error::new(Kind::Duplicate, format!("user '{name}' exists already")).with_hint("change the password with `user passwd`")
            );
        }
        self.put(name, password).await
    }

    /// Sets a user's password; an unknown user is an error.
    pub async fn set_password(&self, name: &str, password: &str) -> Result<()> {
        self.refresh().await?;
        if !self.list.read().users.contains_key(name) {
            return Err(self.unknown(name));
        }
        self.put(name, password).await
    }

    async fn put(&self, name: &str, password: &str) -> Result<()> {
        self.store.put_user(name, &Verifier::of(password)?.to_json()?).await?;
        self.refresh().await
    }

    /// Removes a user; an unknown one is an error.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let removed = self.store.remove_user(name).await?;
        self.refresh().await?;
        if removed { Ok(()) } else { Err(self.unknown(name)) }
    }

    fn unknown(&self, name: &str) -> Error {
        let error = Error::new(Kind::WrongValue, format!("there is no user '{name}'"));
        match crate::config::keys::nearest_of(name, self.names().iter().map(String::as_str)) {
            Some(nearest) => error.with_hint(format!("did you mean '{nearest}'?")),
            None => error,
        }
    }
}

/// A damaged verifier locks out its user, and only that one; it still counts as a user.
async fn read(store: &dyn UserStore) -> Result<HashMap<String, Arc<User>>> {
    let mut users = HashMap::new();
    for (name, json) in store.users().await? {
        let verifier = match Verifier::from_json(&name, &json) {
            Ok(verifier) => verifier,
            Err(error) => {
                tracing::error!(%error, "a user cannot log in");
                Verifier::unusable()
            }
        };
        users.insert(name.clone(), Arc::new(User { name, verifier }));
    }
    Ok(users)
}

/// 1 to 32 letters, digits, `_`, `-`, `.` or `@`, beginning with a letter or `_`.
pub fn check_name(name: &str) -> Result<()> {
    let begins = name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
    let rest = name.chars().all(|c| c.is_alphanumeric() || "_-.@".contains(c));
    if begins && rest && name.chars().count() <= LONGEST_NAME {
        return Ok(());
    }
    Err(Error::new(Kind::WrongValue, format!("'{}' cannot be a user's name", name.escape_debug()))
        .with_hint(format!("use 1 to {LONGEST_NAME} letters, digits, '_', '-', '.' or '@', a letter or '_' first")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::collections::BTreeMap;

    #[derive(Default)]
    struct Memory {
        users: Mutex<BTreeMap<String, String>>,
        broken: std::sync::atomic::AtomicBool,
    }

    #[async_trait]
    impl UserStore for Memory {
        async fn users(&self) -> Result<Vec<(String, String)>> {
            if self.broken.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(Error::new(Kind::Metadata, "locked"));
            }
            Ok(self.users.lock().clone().into_iter().collect())
        }
        async fn put_user(&self, name: &str, verifier: &str) -> Result<()> {
            self.users.lock().insert(name.into(), verifier.into());
            Ok(())
        }
        async fn remove_user(&self, name: &str) -> Result<bool> {
            Ok(self.users.lock().remove(name).is_some())
        }
    }

    async fn users() -> (Arc<Memory>, Users) {
        let store = Arc::new(Memory::default());
        let users = Users::open(store.clone(), &Config::default()).await.unwrap();
        (store, users)
    }

    #[tokio::test]
    async fn root_needs_no_password_only_while_there_is_no_user_and_only_on_loopback() {
        let (store, users) = users().await;
        assert!(users.passwordless_root());
        users.add("ann", "pw").await.unwrap();
        assert!(!users.passwordless_root());
        let mut config = Config::default();
        config.listen.mysql = "0.0.0.0:3307".parse().unwrap();
        store.users.lock().clear();
        assert!(!Users::open(store, &config).await.unwrap().passwordless_root());
    }

    #[tokio::test]
    async fn a_full_authentication_opens_the_fast_path_and_a_new_password_closes_it() {
        let (store, users) = users().await;
        users.add("ann", "pw").await.unwrap();
        let ann = users.find("ann").await.unwrap();
        assert!(!users.verify_password(&ann, b"no"));
        assert_eq!(users.cached_fast("ann"), None);
        assert!(users.verify_password(&ann, b"pw"));
        assert_eq!(users.cached_fast("ann"), Some(fast_digest(b"pw")));
        // Another process changes the password.
        store.put_user("ann", &Verifier::of("new").unwrap().to_json().unwrap()).await.unwrap();
        users.refresh().await.unwrap();
        assert_eq!(users.cached_fast("ann"), None);
        // A check that began before the change must not bring the old password back.
        assert!(users.verify_password(&ann, b"pw"));
        assert_eq!(users.cached_fast("ann"), None);
    }

    #[tokio::test]
    async fn what_another_process_did_counts_at_the_next_login() {
        let (store, users) = users().await;
        store.put_user("bob", &Verifier::of("x").unwrap().to_json().unwrap()).await.unwrap();
        tokio::time::sleep(FRESH + Duration::from_millis(50)).await;
        assert!(users.find("bob").await.is_some());
        store.remove_user("bob").await.unwrap();
        tokio::time::sleep(FRESH + Duration::from_millis(50)).await;
        assert!(users.find("bob").await.is_none());
    }

    #[tokio::test]
    async fn a_metadata_database_that_fails_does_not_open_the_door() {
        let (store, users) = users().await;
        users.add("ann", "pw").await.unwrap();
        store.broken.store(true, std::sync::atomic::Ordering::Relaxed);
        tokio::time::sleep(FRESH + Duration::from_millis(50)).await;
        assert!(users.find("ann").await.is_some());
        assert!(!users.passwordless_root());
    }

    #[tokio::test]
    async fn a_damaged_verifier_locks_out_its_user_only_and_opens_nothing() {
        let (store, users) = users().await;
        store.put_user("ann", "{}").await.unwrap();
        users.refresh().await.unwrap();
        let ann = users.find("ann").await.unwrap();
        assert!(!users.verify_password(&ann, b""));
        assert!(!users.passwordless_root());
    }

    #[tokio::test]
    async fn adding_twice_and_changing_nobody_are_errors() {
        let (_, users) = users().await;
        users.add("ann", "pw").await.unwrap();
        assert_eq!(users.add("ann", "pw").await.unwrap_err().kind(), Kind::Duplicate);
        assert_eq!(users.set_password("anne", "pw").await.unwrap_err().hint(), Some("did you mean 'ann'?"));
        assert!(users.remove("nobody").await.is_err());
        users.remove("ann").await.unwrap();
        assert_eq!(users.count(), 0);
    }

    #[test]
    fn names_that_would_confuse_are_refused() {
        for good in ["root", "ann@example.com", "_x", "zoë", "a-b.c"] {
            check_name(good).unwrap();
        }
        for bad in ["", " ", "a b", "-x", "1a", "a'b", "a\nb", &"x".repeat(33)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
