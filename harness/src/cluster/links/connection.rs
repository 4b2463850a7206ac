//! One connection over a link, from its beginning to its end.

use super::Link;
use super::flaky::{Flakiness, Prank};
use super::line::Line;
use bytes::{BufMut as _, BytesMut};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;

/// What is read at once.
pub(super) const BUFFER_BYTES: usize = 64 << 10;
/// How long the node at the far end may take to accept a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
/// How long the last words of a connection are gathered that are to be overtaken.
const GATHER_TIME: Duration = Duration::from_millis(50);
/// How long a connection that is to be overtaken waits for another one.
const OVERTAKEN_WITHIN: Duration = Duration::from_secs(2);
/// How long the far end may take to read the last words.
const LAST_WORDS_TIME_MAX: Duration = Duration::from_secs(1);

pub(super) struct Connection {
    /// Connections of a link are numbered as they come, from 1.
    pub(super) number: u64,
    pub(super) near: TcpStream,
    /// `None` until the far end has accepted it. Kept open while nothing is carried: neither end learns of that by a connection that ends.
    pub(super) far: Option<TcpStream>,
    /// What was read at the near end and is not written at the far end.
    pub(super) line: Line,
}

/// Carries the connection `number` of a link to its end.
pub(super) async fn carry(link: Arc<Link>, number: u64, near: TcpStream) {
    let mut connection = Connection::new(&link, number, near);
    let (mut cut, mut flaky, mut pranks) = (
        link.cut.subscribe(),
        link.flaky.subscribe(),
        link.pranks.subscribe(),
    );
    if *cut.borrow_and_update() {
        link.harm(1);
        return connection.swallow(&link, until(&mut cut, |cut| !*cut)).await;
    }
    if *flaky.borrow_and_update() == Flakiness::Trap {
        link.harm(1);
        return connection
            .swallow(&link, until(&mut flaky, |flaky| *flaky != Flakiness::Trap))
            .await;
    }
    // However much there is to be carried: what befalls the link comes first.
    let prank = tokio::select! {
        biased;
        () = until(&mut cut, |cut| *cut) => None,
        prank = next(&mut pranks) => Some(prank),
        () = connection.forward(&link) => return reset(&connection.near),
    };
    match prank {
        None => connection.swallow(&link, until(&mut cut, |cut| !*cut)).await,
        Some(prank) => connection.suffer(prank, &link).await,
    }
}

/// Waits until it is so.
pub(super) async fn until<T>(state: &mut watch::Receiver<T>, is_so: impl FnMut(&T) -> bool) {
    // Whoever carries a connection holds the link, and so the other end.
    let _ = state.wait_for(is_so).await;
}

/// What befalls the link next.
pub(super) async fn next(pranks: &mut broadcast::Receiver<Prank>) -> Prank {
    loop {
        match pranks.recv().await {
            Ok(prank) => return prank,
            // One that was missed is as good as one that never was.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Connection {
    /// The connection `number` of a link, which has come from there.
    pub(super) fn new(link: &Link, number: u64, near: TcpStream) -> Connection {
        Connection {
            number,
            near,
            far: None,
            line: Line::new(link.seed.wrapping_add(number)),
        }
    }

    /// Dials the far end.
    pub(super) async fn dial(
        &mut self,
        link: &Link,
    ) -> io::Result<(&mut TcpStream, &mut TcpStream, &mut Line)> {
        let target = link.target.borrow().ok_or(io::ErrorKind::NotConnected)?;
        let stream = tokio::time::timeout(CONNECT_TIME_MAX, TcpStream::connect(target)).await??;
        let far = self.far.insert(stream);
        // Without it, small messages would wait for acknowledgements; where it can't be set, the connection is about to fail.
        let _ = (self.near.set_nodelay(true), far.set_nodelay(true));
        Ok((&mut self.near, far, &mut self.line))
    }

    /// Lets that befall it which befalls the link.
    pub(super) async fn suffer(self, prank: Prank, link: &Link) {
        link.harm(1);
        let mut flaky = link.flaky.subscribe();
        let over = until(&mut flaky, |flaky| *flaky == Flakiness::Off);
        match prank {
            Prank::Reset => self.reset(),
            Prank::Silence(lasts) => {
                let over = tokio::time::timeout(lasts, over);
                self.swallow(link, async { drop(over.await) }).await;
            }
            Prank::Overtake(behind) => self.be_overtaken(link, behind, over).await,
        }
    }

    /// Carries both ways until one end fails or both have said all.
    async fn forward(&mut self, link: &Link) {
        let number = self.number;
        let Ok((near, far, line)) = self.dial(link).await else {
            return;
        };
        let (near_says, near_hears) = near.split();
        let (far_says, far_hears) = far.split();
        let there = pump(near_says, far_hears, line, link, Some(number));
        // What comes back answers a greeting. It is said on this connection, but by nobody that this link is slow for.
        let back = pass_on(far_says, near_hears);
        // However it ends, the connection is over.
        let _ = tokio::try_join!(there, back);
    }

    /// Reads and drops what is sent, until the sender closes or it is over; then both ends are reset, since their streams have holes.
    pub(super) async fn swallow(mut self, link: &Link, over: impl Future<Output = ()>) {
        let mut buffer = vec![0; BUFFER_BYTES];
        let swallow = async {
            while let Ok(bytes @ 1..) = self.near.read(&mut buffer).await {
                link.harm(bytes as u64);
            }
        };
        tokio::select! {
            () = swallow => {}
            () = over => {}
        }
        self.reset();
    }

    pub(super) fn reset(self) {
        reset(&self.near);
        if let Some(far) = &self.far {
            reset(far);
        }
    }

    /// Ends, as far as the near end sees; what it said last arrives `behind` a newer connection's first words. If none comes, or the link is
    /// flaky no longer, it arrives anyway.
    async fn be_overtaken(mut self, link: &Link, behind: Duration, over: impl Future<Output = ()>) {
        let gather = async {
            let mut buffer = BytesMut::new();
            while let Ok(1..) =
                read_some(&mut self.near, &mut buffer, self.line.room(None, Instant::now())).await
            {
                self.line.take_in(buffer.split().freeze(), None, Instant::now());
            }
        };
        // It may end sooner, or there is no more room.
        let _ = tokio::time::timeout(GATHER_TIME, gather).await;
        reset(&self.near);
        drop(self.near);
        let Some(mut far) = self.far else { return };
        let mut newest = link.newest.subscribe();
        let overtaken = async {
            until(&mut newest, |newest| *newest > self.number).await;
            tokio::time::sleep(behind).await;
        };
        tokio::select! {
            _ = tokio::time::timeout(OVERTAKEN_WITHIN, overtaken) => {}
            () = over => {}
        }
        let last_words = async {
            while !self.line.first().is_empty() {
                far.write_all(self.line.first()).await?;
                self.line.arrived(self.line.first().len());
            }
            far.shutdown().await
        };
        // The far end may have ended it by itself meanwhile, as it may whatever is said on it.
        let _ = tokio::time::timeout(LAST_WORDS_TIME_MAX, last_words).await;
    }
}

/// Passes on what `from` says, as slowly as the link is, until it has said all and all has arrived. `number` is the connection's if it is one of
/// those that the link counts.
pub(super) async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    line: &mut Line,
    link: &Link,
    number: Option<u64>,
) -> io::Result<()> {
    let mut pace = link.pace.subscribe();
    let mut buffer = BytesMut::new();
    let (mut has_ended, mut first_word) = (false, number);
    loop {
        let now = Instant::now();
        let paced = *pace.borrow_and_update();
        if paced.is_none() {
            line.hurry(now);
        }
        let due = line.due();
        if has_ended && due.is_none() {
            return to.shutdown().await;
        }
        let room = if has_ended { 0 } else { line.room(paced, now) };
        let is_due = due.is_some_and(|due| due <= now);
        tokio::select! {
            biased;
            bytes = to.write(line.first()), if is_due => match bytes? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                bytes => {
                    line.arrived(bytes);
                    if let Some(number) = first_word.take() {
                        link.has_spoken(number);
                    }
                }
            },
            () = sleep_until(due), if due.is_some() && !is_due => {}
            _ = pace.changed(), if due.is_some() && !is_due => {}
            bytes = read_some(&mut from, &mut buffer, room), if room > 0 => match bytes? {
                0 => has_ended = true,
                bytes => {
                    // It may have changed while nothing came.
                    let paced = *pace.borrow_and_update();
                    line.take_in(buffer.split().freeze(), paced, Instant::now());
                    if paced.is_some() {
                        link.harm(bytes as u64);
                    }
                }
            },
        }
    }
}

/// Passes on what `from` says until it has said all.
async fn pass_on(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await
}

/// Reads so many bytes at most, and none only where there is no room or the sender has said all.
async fn read_some(
    mut from: impl AsyncRead + Unpin,
    buffer: &mut BytesMut,
    room: usize,
) -> io::Result<usize> {
    if buffer.capacity() == 0 {
        // Used again as soon as what was read into it has arrived.
        buffer.reserve(BUFFER_BYTES);
    }
    from.read_buf(&mut buffer.limit(room)).await
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

/// Lets the connection end with a reset, so that the node does not take it for an orderly end.
fn reset(stream: &TcpStream) {
    // Where it can't be set, the stream is closed the ordinary way, and the node notices all the same.
    let _ = stream.set_zero_linger();
}
