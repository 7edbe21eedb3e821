//! From a start-up message to a session: the password, then the database.

use std::net::SocketAddr;

use bytes::Bytes;
use pgwire::messages::startup::{Authentication, BackendKeyData, SecretKey};
use tokio::io::{AsyncRead, AsyncWrite};

use super::auth::{ExpectClientFirst, MECHANISM, Verifier};
use super::fault::{Fault, Step, Stop, put};
use super::frame::Link;
use super::startup::Startup;
use crate::node::Node;
use crate::session::{Client, Session};
use crate::telemetry;
use crate::types::Protocol;
use crate::wire::Context;
use crate::wire::transport::Transport;

/// Authenticates the client and opens its session. A [`Fault`] is to be sent before the connection ends.
pub async fn login<S>(link: &mut Link<Transport<S>>, startup: Startup, peer: SocketAddr, context: &Context) -> Step<Session>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    startup.negotiate(&mut link.output);
    if context.node.config().tls.required && !link.stream().is_tls() {
        return Err(Fault::fatal("28000", "this server takes no unencrypted connections").with_hint("connect with sslmode=require").into());
    }
    let proved = authenticate(link, &startup.user, peer, &context.node).await;
    telemetry::login(Protocol::Postgres.label(), proved.is_ok());
    proved?;
    put(&Authentication::Ok, &mut link.output);
    let client = Client {
        protocol: Protocol::Postgres,
        peer: peer.to_string(),
        user: startup.user,
        database: startup.database,
        settings: startup.settings,
        tls: link.stream().is_tls(),
        id: None,
    };
    let session = Session::open(context.node.clone(), client).await.map_err(Fault::at_startup)?;
    let key = SecretKey::I32(session.secret() as i32);
    put(&BackendKeyData::new(session.id() as i32, key), &mut link.output);
    Ok(session)
}

async fn authenticate<S>(link: &mut Link<Transport<S>>, user: &str, peer: SocketAddr, node: &Node) -> Step<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // Looking the user up also brings the list up to date, before it is asked whether there are any.
    let found = node.users.find(user).await;
    if node.users.passwordless_root() && user == "root" && peer.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    let verifier = match found {
        Some(found) => {
            let scram = &found.verifier.scram;
            Verifier::new(scram.iterations, scram.salt.clone(), scram.stored_key, scram.server_key)
        }
        None => Verifier::mock(user),
    };
    exchange(link, user, verifier).await
}

/// The messages around the SCRAM exchange.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(link: &mut Link<S>, user: &str, verifier: Verifier) -> Step<()> {
    put(&Authentication::SASL(vec![MECHANISM.to_owned()]), &mut link.output);
    let (next, first) = ExpectClientFirst::new(user, verifier).take(&expect_sasl(link).await?)?;
    put(&Authentication::SASLContinue(first.into()), &mut link.output);
    let last = next.take(&expect_sasl(link).await?)?;
    put(&Authentication::SASLFinal(last.into()), &mut link.output);
    Ok(())
}

async fn expect_sasl<S: AsyncRead + AsyncWrite + Unpin>(link: &mut Link<S>) -> Step<Bytes> {
    link.flush().await?;
    match link.frame().await? {
        Some(frame) if frame.kind == b'p' => Ok(frame.body),
        Some(frame) => {
            let text = format!("expected SASL response, got message type {}", frame.kind);
            Err(Fault::protocol(text).into_fatal().into())
        }
        None => Err(Stop::Gone(std::io::ErrorKind::UnexpectedEof.into())),
    }
}

/// The secret of a CancelRequest, as a session's is: 32 bits. A secret of another length is not Flashgate's.
pub fn secret_of(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}
