//! Authentication: SCRAM-SHA-256 (RFC 5802, RFC 7677) from stored verifiers, as an I/O-free exchange.
//!
//! A user that does not exist goes through the same exchange, with a salt made from the name and a secret of this
//! process, so that an outsider cannot tell it from a wrong password. Passwords are never seen here.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::fault::Fault;

/// The mechanism that we offer.
pub const MECHANISM: &str = "SCRAM-SHA-256";
/// Iterations that a made-up verifier claims (PostgreSQL's default, and ours for new users).
const MOCK_ITERATIONS: u32 = 4096;

/// What the server keeps of a password.
#[derive(Clone)]
pub struct Verifier {
    pub iterations: u32,
    pub salt: Vec<u8>,
    pub stored_key: [u8; 32],
    pub server_key: [u8; 32],
    /// Made up for a user that does not exist: never verifies.
    mock: bool,
}

impl Verifier {
    /// A user's verifier.
    pub fn new(iterations: u32, salt: Vec<u8>, stored_key: [u8; 32], server_key: [u8; 32]) -> Verifier {
        Verifier { iterations, salt, stored_key, server_key, mock: false }
    }

    /// For a user that does not exist: the same for the same name as long as this process lives.
    pub fn mock(user: &str) -> Verifier {
        static SECRET: LazyLock<[u8; 32]> = LazyLock::new(rand::random);
        let bytes = hmac(SECRET.as_slice(), &[user.as_bytes()]);
        Verifier { iterations: MOCK_ITERATIONS, salt: bytes[..16].to_vec(), stored_key: bytes, server_key: bytes, mock: true }
    }
}

/// Waits for the client-first-message.
pub struct ExpectClientFirst {
    user: String,
    verifier: Verifier,
    /// Our half of the nonce, printable.
    nonce: String,
}

/// Waits for the client-final-message.
pub struct ExpectClientFinal {
    user: String,
    verifier: Verifier,
    /// The GS2 header that the client must repeat.
    header: String,
    nonce: String,
    /// client-first-message-bare `,` server-first-message.
    transcript: String,
}

impl ExpectClientFirst {
    /// Begins the exchange for `user`.
    pub fn new(user: &str, verifier: Verifier) -> ExpectClientFirst {
        ExpectClientFirst { user: user.to_owned(), verifier, nonce: BASE64.encode(rand::random::<[u8; 18]>()) }
    }

    /// Takes the body of SASLInitialResponse; gives the server-first-message.
    pub fn take(self, body: &[u8]) -> Result<(ExpectClientFinal, String), Fault> {
        let end = memchr::memchr(0, body).ok_or_else(malformed)?;
        let (mechanism, rest) = (&body[..end], &body[end + 1..]);
        if mechanism != MECHANISM.as_bytes() {
            return Err(Fault::protocol("client selected an invalid SASL authentication mechanism").into_fatal());
        }
        let (length, message) = rest.split_at_checked(4).ok_or_else(malformed)?;
        if length != (message.len() as u32).to_be_bytes() {
            return Err(malformed());
        }
        let message = std::str::from_utf8(message).map_err(|_| malformed())?;
        // gs2-cbind-flag "," [ authzid ] "," [reserved-mext ","] username "," nonce ["," extensions]
        let mut parts = message.splitn(3, ',');
        let (flag, authzid, bare) = match (parts.next(), parts.next(), parts.next()) {
            (Some(flag), Some(authzid), Some(bare)) => (flag, authzid, bare),
            _ => return Err(malformed()),
        };
        match flag {
            "n" | "y" => {}
            _ if flag.starts_with("p=") => {
                return Err(Fault::protocol("channel binding is not offered: use the mechanism SCRAM-SHA-256").into_fatal());
            }
            _ => return Err(malformed()),
        }
        if !authzid.is_empty() {
            return Err(Fault::fatal("0A000", "client uses authorization identity, but it is not supported"));
        }
        // The name in the message is ignored, as PostgreSQL does: the start-up message has named the user.
        let mut attributes = bare.split(',');
        let name = attributes.next().and_then(|a| a.strip_prefix("n="));
        let nonce = attributes.next().and_then(|a| a.strip_prefix("r="));
        let (Some(_), Some(nonce)) = (name, nonce) else { return Err(malformed()) };
        if nonce.is_empty() || !nonce.bytes().all(|b| (0x21..=0x7e).contains(&b)) {
            return Err(malformed());
        }
        let nonce = format!("{nonce}{}", self.nonce);
        let first = format!("r={nonce},s={},i={}", BASE64.encode(&self.verifier.salt), self.verifier.iterations);
        let transcript = format!("{bare},{first}");
        let header = format!("{flag},,");
        Ok((ExpectClientFinal { user: self.user, verifier: self.verifier, header, nonce, transcript }, first))
    }
}

impl ExpectClientFinal {
    /// Takes the body of SASLResponse; gives the server-final-message, or the error for a wrong password.
    pub fn take(self, body: &[u8]) -> Result<String, Fault> {
        let message = std::str::from_utf8(body).map_err(|_| malformed())?;
        // channel-binding "," nonce ["," extensions] "," proof
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or_else(malformed)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|a| a.strip_prefix("c=")).ok_or_else(malformed)?;
        let nonce = attributes.next().and_then(|a| a.strip_prefix("r=")).ok_or_else(malformed)?;
        if BASE64.decode(binding).ok().as_deref() != Some(self.header.as_bytes()) {
            return Err(Fault::protocol("SCRAM channel binding check failed").into_fatal());
        }
        if nonce != self.nonce {
            return Err(Fault::protocol("SCRAM nonce does not match").into_fatal());
        }
        let proof: [u8; 32] = BASE64.decode(proof).ok().and_then(|p| p.try_into().ok()).ok_or_else(malformed)?;
        let transcript = [self.transcript.as_bytes(), b",", without_proof.as_bytes()];
        let signature = hmac(&self.verifier.stored_key, &transcript);
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(p, s)| p ^ s).collect();
        let known = Sha256::digest(&client_key).ct_eq(&self.verifier.stored_key);
        if !bool::from(known) || self.verifier.mock {
            return Err(wrong_password(&self.user));
        }
        Ok(format!("v={}", BASE64.encode(hmac(&self.verifier.server_key, &transcript))))
    }
}

/// The answer to a wrong password and to an unknown user alike.
pub fn wrong_password(user: &str) -> Fault {
    Fault::fatal("28P01", format!("password authentication failed for user \"{user}\""))
}

fn malformed() -> Fault {
    Fault::protocol("malformed SCRAM message").into_fatal()
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // A key longer than a block is hashed, a shorter one padded: no length is refused.
    let mut padded = [0u8; 64];
    match key.len() {
        0..=64 => padded[..key.len()].copy_from_slice(key),
        _ => padded[..32].copy_from_slice(&Sha256::digest(key)),
    }
    let mut mac = Hmac::<Sha256>::new(&padded.into());
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The verifier of a password: RFC 5802 section 3.
    pub(crate) fn verifier(password: &str, salt: &[u8], iterations: u32) -> Verifier {
        let salted = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, iterations);
        let stored_key = Sha256::digest(hmac(&salted, &[b"Client Key"])).into();
        Verifier::new(iterations, salt.to_vec(), stored_key, hmac(&salted, &[b"Server Key"]))
    }

    fn initial(message: &str) -> Vec<u8> {
        [b"SCRAM-SHA-256\0".as_slice(), &(message.len() as u32).to_be_bytes(), message.as_bytes()].concat()
    }

    #[test]
    fn the_exchange_of_rfc_7677_is_accepted() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let exchange = ExpectClientFirst {
            user: "user".into(),
            verifier: verifier("pencil", &salt, 4096),
            nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".into(),
        };
        let (next, first) = exchange.take(&initial("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")).unwrap();
        assert_eq!(first, "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(next.take(last.as_bytes()).unwrap(), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn a_wrong_password_and_an_unknown_user_look_the_same() {
        let proof = BASE64.encode([7u8; 32]);
        for verifier in [verifier("pencil", b"0123456789abcdef", 4096), Verifier::mock("user")] {
            let exchange = ExpectClientFirst::new("user", verifier);
            let (next, first) = exchange.take(&initial("n,,n=,r=abc")).unwrap();
            assert!(first.ends_with(",i=4096") && first.len() == "r=abc,s=,i=4096".len() + 24 + 24, "{first}");
            let nonce = first[2..].split(',').next().unwrap().to_owned();
            let fault = next.take(format!("c=biws,r={nonce},p={proof}").as_bytes()).unwrap_err();
            assert_eq!(fault.sqlstate, "28P01");
            assert_eq!(fault.message, "password authentication failed for user \"user\"");
        }
        assert_eq!(Verifier::mock("a").salt, Verifier::mock("a").salt);
        assert_ne!(Verifier::mock("a").salt, Verifier::mock("b").salt);
    }

    #[test]
    fn messages_that_break_the_exchange_are_protocol_errors() {
        let first = || ExpectClientFirst::new("u", Verifier::mock("u"));
        let bodies: Vec<Vec<u8>> = vec![
            vec![],
            b"SCRAM-SHA-256".to_vec(),
            b"SCRAM-SHA-256\0\0\0".to_vec(),
            b"SCRAM-SHA-256\0\0\0\0\x09n".to_vec(),
            b"SCRAM-SHA-1\0\0\0\0\0".to_vec(),
            initial("n,"),
            initial("p=tls-unique,,n=,r=abc"),
            initial("n,,n=u"),
            initial("n,,r=abc"),
            initial("n,,n=,r="),
            initial("x,,n=,r=abc"),
        ];
        for body in bodies {
            assert_eq!(first().take(&body).map(|_| ()).unwrap_err().sqlstate, "08P01", "{body:?}");
        }
        for last in ["", "c=biws", "c=biws,r=abc,p=", "c=eSws,r=abc,p=AAAA", "p=AAAA", "c=biws,r=other,p=AAAA"] {
            let (next, _) = first().take(&initial("n,,n=,r=abc")).unwrap();
            assert_eq!(next.take(last.as_bytes()).unwrap_err().sqlstate, "08P01", "{last}");
        }
    }
}
