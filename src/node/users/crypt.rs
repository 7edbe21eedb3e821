//! SHA-256-crypt as MySQL's caching_sha2_password stores it: Ulrich Drepper's "Unix crypt using SHA-256", steps 1 to
//! 22, with a salt of 20 bytes that is not cut to 16 (mysql-server, mysys/crypt_genhash_impl.cc).

use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The digest as crypt's 43 characters.
pub(super) fn sha256_crypt(password: &[u8], salt: &[u8], rounds: u32) -> String {
    encode(&digest(password, salt, rounds))
}

fn digest(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 32] {
    let b = hash(&[password, salt, password]);
    let mut a = Sha256::new();
    a.update(password);
    a.update(salt);
    a.update(repeat(&b, password.len()));
    let mut length = password.len();
    while length > 0 {
        a.update(if length & 1 == 1 { &b[..] } else { password });
        length >>= 1;
    }
    let mut result: [u8; 32] = a.finalize().into();

    let mut dp = Sha256::new();
    for _ in 0..password.len() {
        dp.update(password);
    }
    let p = repeat(&dp.finalize().into(), password.len());
    let mut ds = Sha256::new();
    for _ in 0..16 + usize::from(result[0]) {
        ds.update(salt);
    }
    let s = repeat(&ds.finalize().into(), salt.len());

    for round in 0..rounds {
        let odd = round & 1 == 1;
        let mut c = Sha256::new();
        c.update(if odd { &p[..] } else { &result[..] });
        if round % 3 != 0 {
            c.update(&s);
        }
        if round % 7 != 0 {
            c.update(&p);
        }
        c.update(if odd { &result[..] } else { &p[..] });
        result = c.finalize().into();
    }
    result
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

fn repeat(block: &[u8; 32], length: usize) -> Vec<u8> {
    block.iter().copied().cycle().take(length).collect()
}

/// Which bytes of the digest stand together, most significant first (step 22).
const GROUPS: [[usize; 3]; 10] =
    [[0, 10, 20], [21, 1, 11], [12, 22, 2], [3, 13, 23], [24, 4, 14], [15, 25, 5], [6, 16, 26], [27, 7, 17], [18, 28, 8], [9, 19, 29]];

/// Step 22: groups of three bytes, low six bits first; the last two bytes make three characters.
fn encode(digest: &[u8; 32]) -> String {
    let mut text = String::with_capacity(43);
    let mut put = |bits: u32, characters: usize| {
        for n in 0..characters {
            text.push(char::from(ALPHABET[(bits >> (6 * n)) as usize & 63]));
        }
    };
    for [a, b, c] in GROUPS {
        put(u32::from(digest[a]) << 16 | u32::from(digest[b]) << 8 | u32::from(digest[c]), 4);
    }
    put(u32::from(digest[31]) << 8 | u32::from(digest[30]), 3);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl passwd -5 -salt saltstring`, which implements the same algorithm.
    #[test]
    fn it_agrees_with_another_implementation() {
        for (password, expected) in [
            ("Hello world!", "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
            ("a", "7cz4bTeQ7MnNssphNhFVrITtuJYY/1tdvLL2uzLvOk8"),
            ("pässword that is longer than thirty-two bytes, twice over in fact, no?", "KFZTDfiYEm.olQOSI2L/dDPEa16SJpMPxuAPAuIiptB"),
        ] {
            assert_eq!(sha256_crypt(password.as_bytes(), b"saltstring", 5000), expected, "{password}");
        }
    }
}
