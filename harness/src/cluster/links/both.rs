//! One connection on which both ends have their say: what the near end says is carried by one link, and what the far end says by the one
//! that leads back.
//!
//! Each direction is cut or slow by itself. What befalls a flaky link befalls all connections that it carries a direction of.

use super::Link;
use super::connection::{BUFFER_BYTES, Connection, next, pump, until};
use super::flaky::{Flakiness, Prank};
use super::line::Line;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

/// From one node to another, and back.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) there: Arc<Link>,
    pub(super) back: Arc<Link>,
}

/// Carries the connection `number` of a way to its end; its near end has already said `said`.
pub(super) async fn carry(way: Way, number: u64, near: TcpStream, said: Bytes) {
    let Way { there, back } = &way;
    let mut connection = Connection::new(there, number, near);
    let mut cut = there.cut.subscribe();
    if *cut.borrow_and_update() {
        there.harm(1 + said.len() as u64);
        return connection.swallow(there, until(&mut cut, |cut| !*cut)).await;
    }
    for link in [there, back] {
        let mut flaky = link.flaky.subscribe();
        if *flaky.borrow_and_update() == Flakiness::Trap {
            link.harm(1 + said.len() as u64);
            let over = until(&mut flaky, |flaky| *flaky != Flakiness::Trap);
            return connection.swallow(link, over).await;
        }
    }
    if !said.is_empty() {
        let pace = *there.pace.borrow();
        if pace.is_some() {
            there.harm(said.len() as u64);
        }
        connection.line.take_in(said, pace, Instant::now());
    }
    let (mut pranks_there, mut pranks_back) = (there.pranks.subscribe(), back.pranks.subscribe());
    // However much there is to be carried: what befalls a link comes first.
    let (prank, link) = tokio::select! {
        biased;
        prank = next(&mut pranks_there) => (prank, there),
        prank = next(&mut pranks_back) => (match prank {
            // The near end is who dials again, and waits for the old connection's last words no longer.
            Prank::Overtake(_) => Prank::Reset,
            Prank::Reset | Prank::Silence(_) => prank,
        }, back),
        done = converse(&mut connection, there, back) => return match done {
            Ok(()) => {}
            Err(_) => connection.reset(),
        },
    };
    connection.suffer(prank, link).await;
}

/// Carries both ways until both have said all.
///
/// # Errors
/// The far end can't be reached, one end fails, or one misses what the other said.
async fn converse(connection: &mut Connection, there: &Link, back: &Link) -> io::Result<()> {
    let number = connection.number;
    let mut line_back = Line::new(back.seed.wrapping_sub(number));
    let (near, far, line) = connection.dial(there).await?;
    let (near_says, near_hears) = near.split();
    let (far_says, far_hears) = far.split();
    tokio::try_join!(
        flow(near_says, far_hears, line, there, Some(number)),
        flow(far_says, near_hears, &mut line_back, back, None),
    )
    .map(drop)
}

/// Passes on what `from` says, until that is all. While the link is cut it is swallowed; when that is over, the connection is, too, since its
/// stream has a hole.
async fn flow(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    line: &mut Line,
    link: &Link,
    number: Option<u64>,
) -> io::Result<()> {
    let mut cut = link.cut.subscribe();
    loop {
        tokio::select! {
            biased;
            () = until(&mut cut, |cut| *cut) => {}
            done = pump(&mut from, &mut to, line, link, number) => return done,
        }
        if swallow(&mut from, link, until(&mut cut, |cut| !*cut)).await {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
    }
}

/// Reads and drops what is said until it is over; whether anything was. That it ends is not told either.
async fn swallow(from: &mut ReadHalf<'_>, link: &Link, over: impl Future<Output = ()>) -> bool {
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut has_hole, mut has_ended) = (false, false);
    let mut over = std::pin::pin!(over);
    loop {
        tokio::select! {
            biased;
            () = &mut over => return has_hole,
            read = from.read(&mut buffer), if !has_ended => {
                let bytes = read.unwrap_or(0);
                link.harm(bytes.max(1) as u64);
                (has_hole, has_ended) = (true, bytes == 0);
            }
        }
    }
}

#[cfg(test)]
mod tests;
