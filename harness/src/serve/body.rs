//! What a response carries: bytes that are there, or such as a thread writes while they are sent.

use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use std::io::{self, BufWriter, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// How much is handed over at once.
const CHUNK_BYTES: usize = 64 << 10;
/// How many of these may wait for who reads.
const CHUNKS_WAITING: usize = 4;

/// See the module's documentation.
pub(super) enum Body {
    Whole(Bytes),
    Written(mpsc::Receiver<io::Result<Bytes>>),
}

impl Body {
    pub(super) fn empty() -> Body {
        Body::Whole(Bytes::new())
    }

    /// What `write` writes, on a thread of its own. If it fails, the response breaks off: nobody shall take a part for the whole.
    pub(super) fn written_by(write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static) -> Body {
        let (sender, receiver) = mpsc::channel(CHUNKS_WAITING);
        tokio::task::spawn_blocking(move || {
            let mut out = BufWriter::with_capacity(CHUNK_BYTES, Chunks(sender.clone()));
            if let Err(error) = write(&mut out).and_then(|()| out.flush()) {
                // Whoever has left does not want to know.
                let _ = sender.blocking_send(Err(error));
            }
        });
        Body::Written(receiver)
    }
}

struct Chunks(mpsc::Sender<io::Result<Bytes>>);

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Body::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Body::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Body::Written(chunks) => chunks
                .poll_recv(context)
                .map(|chunk| chunk.map(|bytes| bytes.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Written(_) => SizeHint::default(),
        }
    }
}
