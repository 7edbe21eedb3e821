//! What is kept of a password: enough to check it in each of the three ways, never the text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use rand::Rng;
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::crypt::sha256_crypt;
use crate::error::{Error, Kind, Result};

/// PBKDF2 rounds of new SCRAM verifiers (PostgreSQL's default is 4096, RFC 7677's minimum too).
const SCRAM_ITERATIONS: u32 = 10_000;
/// Rounds of new caching_sha2_password verifiers, MySQL's default; stored in thousands, in hexadecimal: `005`.
const CRYPT_ROUNDS: u32 = 5000;
const CRYPT_SALT: usize = 20;

/// How to check a user's password by SCRAM-SHA-256, mysql_native_password and caching_sha2_password.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    pub scram: Scram,
    /// SHA1(SHA1(password)), mysql_native_password's `authentication_string`.
    pub native: [u8; 20],
    /// `$A$005$` + 20 characters of salt + 43 of digest, as MySQL keeps it in mysql.user.
    pub caching_sha2: String,
}

/// RFC 5802, section 3, with SHA-256.
#[derive(Clone, PartialEq, Eq)]
pub struct Scram {
    pub iterations: u32,
    pub salt: Vec<u8>,
    pub stored_key: [u8; 32],
    pub server_key: [u8; 32],
}

impl Verifier {
    /// The verifiers of a password, with new salts. The password must be UTF-8 and not empty.
    pub fn of(password: &str) -> Result<Verifier> {
        if password.is_empty() {
            return Err(Error::new(Kind::WrongValue, "the password is empty; give one"));
        }
        let mut rng = rand::rng();
        let scram_salt: [u8; 16] = rng.random();
        let crypt_salt: String = (0..CRYPT_SALT).map(|_| char::from(rng.sample(rand::distr::Alphanumeric))).collect();
        Ok(Verifier {
            scram: Scram::of(password, scram_salt.to_vec(), SCRAM_ITERATIONS),
            native: native(password.as_bytes()),
            caching_sha2: caching_sha2(password.as_bytes(), &crypt_salt, CRYPT_ROUNDS),
        })
    }

    /// One that no password passes: in place of a damaged one. Its random keys are known to nobody.
    pub(super) fn unusable() -> Verifier {
        let mut rng = rand::rng();
        Verifier {
            scram: Scram {
                iterations: SCRAM_ITERATIONS,
                salt: rng.random::<[u8; 16]>().to_vec(),
                stored_key: rng.random(),
                server_key: rng.random(),
            },
            native: rng.random(),
            caching_sha2: String::new(),
        }
    }

    /// Is this the password? Takes as long for a wrong one.
    pub fn check(&self, password: &[u8]) -> bool {
        let Some((rounds, salt)) = parse_caching_sha2(&self.caching_sha2) else { return false };
        let computed = caching_sha2(password, salt, rounds);
        computed.as_bytes().ct_eq(self.caching_sha2.as_bytes()).into()
    }

    /// JSON for the metadata database.
    pub fn to_json(&self) -> Result<String> {
        let stored = Stored {
            scram_iterations: self.scram.iterations,
            scram_salt: STANDARD.encode(&self.scram.salt),
            scram_stored_key: STANDARD.encode(self.scram.stored_key),
            scram_server_key: STANDARD.encode(self.scram.server_key),
            native: hex::encode(self.native),
            caching_sha2: self.caching_sha2.clone(),
        };
        serde_json::to_string(&stored).map_err(|e| Error::internal(format!("a verifier cannot be stored: {e}")))
    }

    /// Reads what [`Verifier::to_json`] wrote; damage is an error without the text.
    pub fn from_json(user: &str, text: &str) -> Result<Verifier> {
        let read = || -> Option<Verifier> {
            let stored: Stored = serde_json::from_str(text).ok()?;
            parse_caching_sha2(&stored.caching_sha2)?;
            Some(Verifier {
                scram: Scram {
                    iterations: stored.scram_iterations,
                    salt: STANDARD.decode(stored.scram_salt).ok()?,
                    stored_key: STANDARD.decode(stored.scram_stored_key).ok()?.try_into().ok()?,
                    server_key: STANDARD.decode(stored.scram_server_key).ok()?.try_into().ok()?,
                },
                native: hex::decode(stored.native).ok()?.try_into().ok()?,
                caching_sha2: stored.caching_sha2,
            })
        };
        read().ok_or_else(|| {
            Error::new(Kind::Metadata, format!("the stored verifier of user '{user}' is damaged"))
                .with_hint(format!("set the password again: flashgate user passwd {user}"))
        })
    }
}

impl Scram {
    /// `password` is prepared by SASLprep; one that has no prepared form is taken as it is (as PostgreSQL does).
    pub fn of(password: &str, salt: Vec<u8>, iterations: u32) -> Scram {
        let prepared = stringprep::saslprep(password).unwrap_or(password.into());
        let salted: [u8; 32] = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(prepared.as_bytes(), &salt, iterations);
        let client_key = hmac(&salted, b"Client Key");
        Scram { iterations, salt, stored_key: Sha256::digest(client_key).into(), server_key: hmac(&salted, b"Server Key") }
    }
}

fn hmac(key: &[u8; 32], data: &[u8]) -> [u8; 32] {
    // A key shorter than the block is padded with zeros (RFC 2104, section 2): that form cannot be refused.
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mut mac = <Hmac<Sha256> as Mac>::new((&block).into());
    mac.update(data);
    mac.finalize().into_bytes().into()
}

/// SHA1(SHA1(password)).
fn native(password: &[u8]) -> [u8; 20] {
    Sha1::digest(Sha1::digest(password)).into()
}

/// SHA256(SHA256(password)): what caching_sha2_password's fast path compares with.
pub fn fast_digest(password: &[u8]) -> [u8; 32] {
    Sha256::digest(Sha256::digest(password)).into()
}

fn caching_sha2(password: &[u8], salt: &str, rounds: u32) -> String {
    format!("$A${:03X}${salt}{}", rounds / 1000, sha256_crypt(password, salt.as_bytes(), rounds))
}

/// (rounds, salt) of a stored string.
fn parse_caching_sha2(stored: &str) -> Option<(u32, &str)> {
    let (thousands, rest) = stored.strip_prefix("$A$")?.split_once('$')?;
    let rounds = u32::from_str_radix(thousands, 16).ok().filter(|n| (1..=0xFFF).contains(n))? * 1000;
    (rest.len() == CRYPT_SALT + 43).then(|| rest.get(..CRYPT_SALT)).flatten().map(|salt| (rounds, salt))
}

#[derive(Serialize, Deserialize)]
struct Stored {
    scram_iterations: u32,
    scram_salt: String,
    scram_stored_key: String,
    scram_server_key: String,
    native: String,
    caching_sha2: String,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier(..)")
    }
}

impl std::fmt::Debug for Scram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scram(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_passes() {
        let verifier = Verifier::of("s3cret pässword").unwrap();
        assert!(verifier.check("s3cret pässword".as_bytes()));
        for wrong in ["", "s3cret", "s3cret pässword ", "S3cret pässword"] {
            assert!(!verifier.check(wrong.as_bytes()), "{wrong}");
        }
        assert!(Verifier::of("").is_err());
    }

    #[test]
    fn salts_are_new_each_time() {
        let (a, b) = (Verifier::of("x").unwrap(), Verifier::of("x").unwrap());
        assert_ne!(a.scram.salt, b.scram.salt);
        assert_ne!(a.caching_sha2, b.caching_sha2);
    }

    #[test]
    fn json_brings_it_back_and_damage_is_an_error_without_the_text() {
        let verifier = Verifier::of("x").unwrap();
        let json = verifier.to_json().unwrap();
        assert!(Verifier::from_json("u", &json).unwrap() == verifier);
        let error = Verifier::from_json("u", &json.replace("$A$005$", "$A$zzz$")).unwrap_err().to_string();
        assert!(error.contains("damaged") && !error.contains("$A$"), "{error}");
    }

    /// The exchange of RFC 7677, section 3: user `user`, password `pencil`.
    #[test]
    fn scram_agrees_with_the_rfc() {
        let scram = Scram::of("pencil", STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(), 4096);
        let message = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                       s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let server_signature = STANDARD.encode(hmac(&scram.server_key, message.as_bytes()));
        assert_eq!(server_signature, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let proof = STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let signature = hmac(&scram.stored_key, message.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        assert_eq!(<[u8; 32]>::from(Sha256::digest(client_key)), scram.stored_key);
    }

    /// `SELECT PASSWORD('secret')` of MariaDB and MySQL 5.7.
    #[test]
    fn native_agrees_with_the_server() {
        assert_eq!(hex::encode_upper(native(b"secret")), "14E65567ABDB5135D0CFD9A70B3032C179A49EE7");
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Verifier::of("x").unwrap()), "Verifier(..)");
    }
}
