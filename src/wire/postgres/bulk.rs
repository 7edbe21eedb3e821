//! COPY within a connection: the messages around [`super::copy`].

use std::io;

use bytes::Bytes;
use pgwire::messages::copy::{CopyDone, CopyInResponse, CopyOutResponse};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Connection, shutting_down};
use super::copy::{Batches, Decoder, Exporter};
use super::encode::Format;
use super::fault::{Fault, Step, Stop, put};
use super::message::Frontend;
use super::rows::Cursor;
use crate::session::{CopyFormat, CopyIn, CopyLayout, CopyOut, CopySink, Outcome, PostgresCopy};

/// Bytes that are decoded before the rows among them are handed on.
const PIECE_BYTES: usize = 64 * 1024;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Takes the client's data into the sink; gives the command tag. An error drops the sink, which undoes the load.
    pub(crate) async fn copy_in(&mut self, copy: CopyIn) -> Step<String> {
        let options = postgres_options(copy.format)?;
        let format = if options.layout == CopyLayout::Binary { Format::Binary } else { Format::Text };
        let (decoder, batches) = (Decoder::new(&options, &copy.columns), Batches::new(&copy.columns));
        let count = copy.columns.len();
        put(&CopyInResponse::new(format.code() as i8, count as i16, vec![format.code(); count]), self.out());
        self.link.flush().await?;
        let mut load = Load { sink: copy.sink, decoder, batches };
        loop {
            match self.expect_copy_data().await? {
                CopyMessage::Data(data) => {
                    for piece in data.chunks(PIECE_BYTES) {
                        self.link.watching(load.take(piece)).await??;
                    }
                }
                CopyMessage::Done => {
                    let outcome = self.link.watching(load.finish()).await??;
                    return Ok(if outcome.tag.is_empty() { format!("COPY {}", outcome.affected) } else { outcome.tag });
                }
                CopyMessage::Fail(reason) => {
                    return Err(Fault::error("57014", format!("COPY from stdin failed: {reason}")).into());
                }
            }
        }
    }

    /// Waits for the next message of the data.
    async fn expect_copy_data(&mut self) -> Step<CopyMessage> {
        loop {
            let closing = self.link.closing.clone();
            let frame = tokio::select! {
                biased;
                frame = self.link.frame() => frame?,
                _ = closing.cancelled() => return Err(shutting_down().into()),
            };
            let frame = frame.ok_or_else(|| Stop::Gone(io::ErrorKind::ConnectionReset.into()))?;
            let kind = frame.kind;
            match Frontend::decode(frame)? {
                Frontend::CopyData(data) => return Ok(CopyMessage::Data(data.data)),
                Frontend::CopyDone => return Ok(CopyMessage::Done),
                Frontend::CopyFail(fail) => return Ok(CopyMessage::Fail(fail.message)),
                // A pipeline may send these ahead, not knowing that its statement takes data.
                Frontend::Flush | Frontend::Sync => {}
                Frontend::Terminate => return Err(Stop::Gone(io::ErrorKind::NotConnected.into())),
                _ => {
                    let text = format!("unexpected message type 0x{kind:02X} during COPY from stdin");
                    return Err(Fault::protocol(text).into());
                }
            }
        }
    }

    /// Sends the rows as the client wants them; gives the command tag.
    pub(crate) async fn copy_out(&mut self, copy: CopyOut) -> Step<String> {
        let mut exporter = Exporter::new(postgres_options(copy.format)?);
        let code = exporter.format().code();
        let mut cursor = Cursor::new(copy.rows, &[])?;
        let count = cursor.columns().len();
        put(&CopyOutResponse::new(code as i8, count as i16, vec![code; count]), self.out());
        exporter.begin(cursor.columns(), &mut self.link.output)?;
        let style = self.style();
        let sent = cursor.each(0, &style, &mut self.link, |encoders, row, out| exporter.row(encoders, row, out)).await?;
        exporter.end(self.out())?;
        put(&CopyDone::new(), self.out());
        Ok(format!("COPY {}", sent.rows))
    }
}

enum CopyMessage {
    Data(Bytes),
    Done,
    Fail(String),
}

/// A load under way.
struct Load {
    sink: Box<dyn CopySink>,
    decoder: Decoder,
    batches: Batches,
}

impl Load {
    async fn take(&mut self, data: &[u8]) -> Result<(), Fault> {
        self.decoder.feed(data, &mut self.batches)?;
        self.pass_on().await
    }

    async fn finish(mut self) -> Result<Outcome, Fault> {
        self.decoder.finish(&mut self.batches)?;
        self.pass_on().await?;
        Ok(self.sink.finish().await?)
    }

    async fn pass_on(&mut self) -> Result<(), Fault> {
        while let Some(batch) = self.batches.take() {
            self.sink.write(batch).await?;
        }
        Ok(())
    }
}

fn postgres_options(format: CopyFormat) -> Result<PostgresCopy, Fault> {
    match format {
        CopyFormat::Postgres(options) => Ok(options),
        CopyFormat::MySql(_) => {
            Err(Fault::error("0A000", "LOAD DATA is not a statement of PostgreSQL sessions").with_hint("use COPY .. FROM STDIN"))
        }
    }
}
