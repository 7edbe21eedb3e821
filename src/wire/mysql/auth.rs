//! Authentication: the two password plugins as a state machine. The client's bytes go in; an answer or a verdict comes out.
//!
//! A client answers the greeting for caching_sha2_password: when its digest is known from an earlier login that is
//! enough; else it sends the password itself over TLS; else (no TLS) it is asked to switch to mysql_native_password.
//! The machine holds no password longer than one call and prints none.
//! Formulas: server sql/auth/sha2_password.cc and sql/auth/password.cc.

use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::handshake::{CACHING_SHA2, NATIVE, Salt, fresh_salt};

/// What the server knows about the user that logs in. An unknown user has nothing here, and takes the same steps.
#[derive(Clone, Copy)]
pub struct Secrets {
    /// The user may come in with an empty password and nothing else.
    pub passwordless: bool,
    /// SHA1(SHA1(password)).
    pub native: Option<[u8; 20]>,
    /// SHA256(SHA256(password)), when a login has shown it before.
    pub fast: Option<[u8; 32]>,
}

/// What to do next.
#[derive(PartialEq, Eq)]
pub enum Next {
    /// Come in. Send this packet first, if any.
    Accept { packet: Option<Vec<u8>> },
    /// Stay out.
    Deny,
    /// Send the packet and hand in the client's answer.
    Ask(Vec<u8>),
    /// Check this password, which costs time, and hand in the verdict ([`Next::verdict`]).
    Check(Vec<u8>),
}

impl Next {
    /// What follows a checked password.
    pub fn verdict(right: bool) -> Next {
        if right { Next::Accept { packet: None } } else { Next::Deny }
    }
}

impl std::fmt::Debug for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Next::Accept { .. } => "Accept",
            Next::Deny => "Deny",
            Next::Ask(_) => "Ask",
            Next::Check(_) => "Check",
        })
    }
}

enum Awaits {
    CachingSha2,
    Native,
    Password,
}

/// One attempt to log in.
pub struct Authenticator {
    /// The challenge that the next answer must meet.
    pub salt: Salt,
    /// Did the client bring a password (for "using password: YES")?
    pub used_password: bool,
    tls: bool,
    awaits: Awaits,
}

/// Second byte after 0x01: the digest was right.
const FAST_AUTH_SUCCESS: [u8; 2] = [1, 3];
/// Second byte after 0x01: send the password itself.
const FULL_AUTHENTICATION: [u8; 2] = [1, 4];

impl Authenticator {
    /// An attempt that answers the challenge `salt`; `tls`: the connection is encrypted.
    pub fn new(salt: Salt, tls: bool) -> Authenticator {
        Authenticator { salt, used_password: false, tls, awaits: Awaits::CachingSha2 }
    }

    /// The client's first answer and the plugin that made it (None: a client from before plugins).
    pub fn start(&mut self, plugin: Option<&str>, answer: &[u8], secrets: &Secrets) -> Next {
        match plugin.unwrap_or(NATIVE) {
            CACHING_SHA2 => self.awaits = Awaits::CachingSha2,
            // A client whose own choice is this plugin sends nothing to a greeting for the other, and waits for a
            // challenge of the right kind: nothing does not yet mean an empty password (libmariadb, libmysqlclient).
            NATIVE if answer.is_empty() && plugin.is_some() => return self.switch_to(NATIVE, Awaits::Native),
            NATIVE => self.awaits = Awaits::Native,
            _ if self.tls => return self.switch_to(CACHING_SHA2, Awaits::CachingSha2),
            _ => return self.switch_to(NATIVE, Awaits::Native),
        }
        self.next(answer, secrets)
    }

    /// The client's answer to what [`Next::Ask`] asked.
    pub fn next(&mut self, answer: &[u8], secrets: &Secrets) -> Next {
        match self.awaits {
            Awaits::CachingSha2 => self.caching_sha2(answer, secrets),
            Awaits::Native => self.native(answer, secrets),
            Awaits::Password => password(answer, secrets),
        }
    }

    fn caching_sha2(&mut self, answer: &[u8], secrets: &Secrets) -> Next {
        if answer.is_empty() || answer == [0] {
            return empty_password(secrets);
        }
        self.used_password = true;
        if secrets.fast.is_some_and(|digest| meets_sha2(answer, &self.salt, &digest)) {
            return Next::Accept { packet: Some(FAST_AUTH_SUCCESS.to_vec()) };
        }
        if self.tls {
            self.awaits = Awaits::Password;
            return Next::Ask(FULL_AUTHENTICATION.to_vec());
        }
        self.switch_to(NATIVE, Awaits::Native)
    }

    fn native(&mut self, answer: &[u8], secrets: &Secrets) -> Next {
        if answer.is_empty() || answer == [0] {
            return empty_password(secrets);
        }
        self.used_password = true;
        match secrets.native {
            Some(stored) if meets_native(answer, &self.salt, &stored) => Next::Accept { packet: None },
            _ => Next::Deny,
        }
    }

    /// AuthSwitchRequest, with a challenge of its own.
    fn switch_to(&mut self, plugin: &str, awaits: Awaits) -> Next {
        self.awaits = awaits;
        self.salt = fresh_salt();
        let mut packet = vec![0xfe];
        packet.extend_from_slice(plugin.as_bytes());
        packet.push(0);
        packet.extend_from_slice(&self.salt);
        packet.push(0);
        Next::Ask(packet)
    }
}

fn password(answer: &[u8], secrets: &Secrets) -> Next {
    match answer.strip_suffix(&[0]).unwrap_or(answer) {
        [] => empty_password(secrets),
        password => Next::Check(password.to_vec()),
    }
}

fn empty_password(secrets: &Secrets) -> Next {
    if secrets.passwordless { Next::Accept { packet: None } } else { Next::Check(vec![]) }
}

/// answer = SHA256(pw) XOR SHA256(SHA256(SHA256(pw)) salt)
fn meets_sha2(answer: &[u8], salt: &Salt, digest: &[u8; 32]) -> bool {
    let mask = Sha256::new().chain_update(digest).chain_update(salt).finalize();
    let Ok(mut once) = <[u8; 32]>::try_from(answer) else { return false };
    once.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    bool::from(Sha256::digest(once).ct_eq(digest))
}

/// answer = SHA1(pw) XOR SHA1(salt SHA1(SHA1(pw)))
fn meets_native(answer: &[u8], salt: &Salt, stored: &[u8; 20]) -> bool {
    let mask = Sha1::new().chain_update(salt).chain_update(stored).finalize();
    let Ok(mut once) = <[u8; 20]>::try_from(answer) else { return false };
    once.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    bool::from(Sha1::digest(once).ct_eq(stored))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_common::scramble::{scramble_native, scramble_sha256};

    const PASSWORD: &[u8] = b"correct horse";

    fn known(fast: bool) -> Secrets {
        Secrets {
            passwordless: false,
            native: Some(Sha1::digest(Sha1::digest(PASSWORD)).into()),
            fast: fast.then(|| Sha256::digest(Sha256::digest(PASSWORD)).into()),
        }
    }

    fn sha2(salt: &Salt, password: &[u8]) -> Vec<u8> {
        scramble_sha256(salt, password).unwrap().to_vec()
    }

    #[test]
    fn the_fast_path_takes_the_right_password_only() {
        let salt = fresh_salt();
        let right = Authenticator::new(salt, false).start(Some(CACHING_SHA2), &sha2(&salt, PASSWORD), &known(true));
        assert_eq!(right, Next::Accept { packet: Some(vec![1, 3]) });
        let wrong = Authenticator::new(salt, false).start(Some(CACHING_SHA2), &sha2(&salt, b"wrong"), &known(true));
        assert!(matches!(wrong, Next::Ask(packet) if packet.starts_with(b"\xfemysql_native_password\0")));
    }

    #[test]
    fn over_tls_the_password_itself_is_asked_and_checked() {
        let salt = fresh_salt();
        let mut login = Authenticator::new(salt, true);
        assert_eq!(login.start(Some(CACHING_SHA2), &sha2(&salt, PASSWORD), &known(false)), Next::Ask(vec![1, 4]));
        let clear = [PASSWORD, &[0]].concat();
        assert_eq!(login.next(&clear, &known(false)), Next::Check(PASSWORD.to_vec()));
        assert_eq!(Next::verdict(false), Next::Deny);
    }

    #[test]
    fn without_tls_the_switch_brings_a_fresh_challenge_that_the_old_answer_does_not_meet() {
        let salt = fresh_salt();
        let mut login = Authenticator::new(salt, false);
        let Next::Ask(packet) = login.start(Some(CACHING_SHA2), &sha2(&salt, PASSWORD), &known(false)) else { panic!() };
        assert!(packet.ends_with(&[&login.salt[..], &[0]].concat()));
        assert_ne!(login.salt, salt);
        let replayed = scramble_native(&salt, PASSWORD).unwrap();
        assert_eq!(login.next(&replayed, &known(false)), Next::Deny);
        let fresh = scramble_native(&login.salt, PASSWORD).unwrap();
        assert_eq!(login.next(&fresh, &known(false)), Next::Accept { packet: None });
    }

    #[test]
    fn an_unknown_user_goes_the_same_way_and_is_denied() {
        let nobody = Secrets { passwordless: false, native: None, fast: None };
        let salt = fresh_salt();
        let mut login = Authenticator::new(salt, false);
        assert!(matches!(login.start(Some(CACHING_SHA2), &sha2(&salt, PASSWORD), &nobody), Next::Ask(_)));
        assert_eq!(login.next(&[1; 20], &nobody), Next::Deny);
        assert_eq!(Authenticator::new(salt, true).start(None, b"", &nobody), Next::Check(vec![]));
    }

    #[test]
    fn a_passwordless_user_comes_in_with_no_password_only() {
        let root = Secrets { passwordless: true, native: None, fast: None };
        let accepted = Next::Accept { packet: None };
        for (plugin, empty) in [(Some(CACHING_SHA2), &b""[..]), (Some(CACHING_SHA2), b"\0"), (None, b"")] {
            assert_eq!(Authenticator::new(fresh_salt(), false).start(plugin, empty, &root), accepted);
        }
        let mut login = Authenticator::new(fresh_salt(), false);
        assert!(matches!(login.start(Some(NATIVE), b"", &root), Next::Ask(_)));
        assert_eq!(login.next(b"", &root), accepted);
        assert_eq!(Authenticator::new(fresh_salt(), false).start(Some(NATIVE), &[1; 20], &root), Next::Deny);
    }

    #[test]
    fn answers_of_wrong_length_are_denied() {
        for length in [2, 19, 21, 32, 1000] {
            assert_eq!(Authenticator::new(fresh_salt(), true).start(Some(NATIVE), &vec![1; length], &known(true)), Next::Deny);
        }
        assert!(!meets_sha2(&[1; 20], &fresh_salt(), &[0; 32]));
    }
}
