//! How a connection comes about. TCP, TLS, the server's name and SCRAM bound to the TLS channel are the driver's
//! work: it is lent the TLS stream until the server is ready for a question, and then let go.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{Config, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Wire;

/// TLS to the server.
pub(super) type Secured = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// Connects and logs in. A message that the server sends unasked between its being ready and the first question
/// would be lost with the driver's buffer; what comes after it is then no message, and the connection is given up.
pub(crate) async fn connect(config: &Config, tls: &MakeRustlsConnect) -> Result<Wire, tokio_postgres::Error> {
    let slot = Slot::default();
    let lending = Lending { tls: tls.clone(), slot: Arc::clone(&slot) };
    let (client, connection) = config.connect(lending).await?;
    let stream = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    // Neither says goodbye to the server: they were never driven.
    drop((client, connection));
    // The driver cannot have connected without it.
    Ok(stream.map_or_else(Wire::lost, Wire::over))
}

type Slot = Arc<Mutex<Option<Secured>>>;

#[derive(Clone)]
struct Lending {
    tls: MakeRustlsConnect,
    slot: Slot,
}

impl MakeTlsConnect<Socket> for Lending {
    type Stream = Lent;
    type TlsConnect = Connecting;
    type Error = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Connecting, Self::Error> {
        let inner = MakeTlsConnect::<Socket>::make_tls_connect(&mut self.tls, domain)?;
        Ok(Connecting { inner, slot: Arc::clone(&self.slot) })
    }
}

struct Connecting {
    inner: <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect,
    slot: Slot,
}

impl TlsConnect<Socket> for Connecting {
    type Stream = Lent;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Lent>>;

    fn connect(self, stream: Socket) -> Self::Future {
        let connecting = self.inner.connect(stream);
        Box::pin(async move {
            let secured = connecting.await?;
            *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(secured);
            Ok(Lent(self.slot))
        })
    }
}

/// The stream while the driver has it.
struct Lent(Slot);

impl Lent {
    fn with<T>(&self, act: impl FnOnce(Pin<&mut Secured>) -> T, gone: impl FnOnce() -> T) -> T {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(stream) => act(Pin::new(stream)),
            None => gone(),
        }
    }
}

fn taken<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

impl AsyncRead for Lent {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_read(cx, buf), taken)
    }
}

impl AsyncWrite for Lent {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(cx, buf), taken)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(cx), taken)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(cx), taken)
    }
}

impl TlsStream for Lent {
    fn channel_binding(&self) -> ChannelBinding {
        self.with(|stream| stream.channel_binding(), ChannelBinding::none)
    }
}
