//! Sending a client away before it is anybody: an error in its own protocol, then the end.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::error::Error;

/// How long a client that is sent away may keep the server waiting for its first message.
const PATIENCE: Duration = Duration::from_secs(2);
/// PostgreSQL's largest start-up packet (src/include/libpq/pqcomm.h, MAX_STARTUP_PACKET_LENGTH).
const LARGEST_STARTUP: u32 = 10_000;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;

/// Answers a MySQL client's connection with an ERR packet instead of a greeting. No capabilities are known yet, so
/// there is no SQLSTATE in it (sql/auth/sql_authentication.cc sends it the same way).
pub async fn mysql(mut stream: impl AsyncWrite + Unpin, error: &Error) -> io::Result<()> {
    let message = error.to_string();
    let mut payload = vec![0xFF];
    payload.extend_from_slice(&error.mysql_code().to_le_bytes());
    payload.extend(message.bytes().take(512));
    let mut packet = (payload.len() as u32).to_le_bytes()[..3].to_vec();
    packet.push(0);
    packet.extend(payload);
    stream.write_all(&packet).await?;
    stream.shutdown().await
}

/// Answers a PostgreSQL client's start-up packet with an ErrorResponse. Requests for TLS are declined first: a client
/// that insists on it ends the connection then. A cancel request gets no answer, as always.
pub async fn postgres(stream: impl AsyncRead + AsyncWrite + Unpin, error: &Error) -> io::Result<()> {
    tokio::time::timeout(PATIENCE, refuse_postgres(stream, error)).await.unwrap_or(Ok(()))
}

async fn refuse_postgres(mut stream: impl AsyncRead + AsyncWrite + Unpin, error: &Error) -> io::Result<()> {
    // One request for TLS and one for GSS encryption may come before the start-up packet itself.
    for _ in 0..3 {
        let length = stream.read_u32().await?;
        if !(8..=LARGEST_STARTUP).contains(&length) {
            return Ok(());
        }
        let code = stream.read_u32().await?;
        let mut rest = vec![0; length as usize - 8];
        stream.read_exact(&mut rest).await?;
        match code {
            SSL_REQUEST | GSS_REQUEST => stream.write_all(b"N").await?,
            CANCEL_REQUEST => return Ok(()),
            _ => break,
        }
    }
    postgres_at_once(stream, error).await
}

/// The same for a client whose first message is not waited for.
pub async fn postgres_at_once(mut stream: impl AsyncWrite + Unpin, error: &Error) -> io::Result<()> {
    let mut fields = Vec::new();
    for (field, text) in [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', error.sqlstate()), (b'M', error.message())] {
        fields.push(field);
        fields.extend(text.bytes().filter(|byte| *byte != 0));
        fields.push(0);
    }
    if let Some(hint) = error.hint() {
        fields.push(b'H');
        fields.extend(hint.bytes().filter(|byte| *byte != 0));
        fields.push(0);
    }
    fields.push(0);
    stream.write_u8(b'E').await?;
    stream.write_u32(fields.len() as u32 + 4).await?;
    stream.write_all(&fields).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn full() -> Error {
        Error::new(Kind::TooManyConnections, "too many connections")
    }

    #[tokio::test]
    async fn a_mysql_client_reads_error_1040() {
        let (mut client, server) = tokio::io::duplex(1024);
        mysql(server, &full()).await.unwrap();
        let mut packet = Vec::new();
        client.read_to_end(&mut packet).await.unwrap();
        assert_eq!(packet[..4], [packet.len() as u8 - 4, 0, 0, 0]);
        assert_eq!((packet[4], u16::from_le_bytes([packet[5], packet[6]])), (0xFF, 1040));
        assert_eq!(&packet[7..], b"too many connections");
    }

    #[tokio::test]
    async fn a_postgres_client_that_asks_for_tls_first_reads_53300() {
        let (mut client, server) = tokio::io::duplex(1024);
        let serving = tokio::spawn(async move { postgres(server, &full()).await });
        client.write_all(&[0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x2F]).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'N');
        client.write_all(&[0, 0, 0, 9, 0, 3, 0, 0, 0]).await.unwrap();
        let mut message = Vec::new();
        client.read_to_end(&mut message).await.unwrap();
        assert_eq!(message[0], b'E');
        assert_eq!(u32::from_be_bytes(message[1..5].try_into().unwrap()) as usize, message.len() - 1);
        assert!(message.windows(7).any(|window| window == b"C53300\0"));
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_silent_client_does_not_hold_the_server() {
        let (_client, server) = tokio::io::duplex(64);
        postgres(server, &full()).await.unwrap();
    }

    #[tokio::test]
    async fn nonsense_is_dropped_without_an_answer() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(&[0xFF; 16]).await.unwrap();
        postgres(server, &full()).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert!(answer.is_empty());
    }
}
