//! The room that long frames have while they come.
//!
//! Whoever begins a frame and does not end it has this node hold what came of it. Of short frames that is little; a long one takes room
//! for all of it before more of it is read, and gives that back when it was made use of. Where there is none, a frame waits, and those
//! that want room get it in the order in which they came. So that somebody who is slow, or wicked, can't have all of it for long, the frame
//! that has been coming for longest makes room then, if it had its time: its connection ends.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout_at};

/// How many bytes long frames have, together, while they come.
pub(crate) const FRAMES_BYTES_MAX: usize = 64 << 20;

/// How long nothing may come of a frame that has begun to.
pub(crate) const FRAME_STALL_MAX: Duration = Duration::from_secs(30);

/// How long all of a frame may take to come.
pub(crate) const FRAME_TIME_MAX: Duration = Duration::from_secs(120);

/// How long a frame is coming at least before it must make room for another.
pub(crate) const FRAME_TIME_MIN: Duration = Duration::from_secs(10);

/// How long frames may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) stall_max: Duration,
    pub(crate) frame_max: Duration,
    pub(crate) frame_min: Duration,
}

impl Default for Times {
    fn default() -> Times {
        Times {
            stall_max: FRAME_STALL_MAX,
            frame_max: FRAME_TIME_MAX,
            frame_min: FRAME_TIME_MIN,
        }
    }
}

/// The room that the long frames of many connections share.
#[derive(Debug)]
pub(crate) struct Room {
    /// In bytes.
    left: Semaphore,
    /// The frames that have room and are not whole, in the order in which they began.
    coming: RefCell<BTreeMap<u64, Coming>>,
    last: Cell<u64>,
    times: Times,
}

#[derive(Debug)]
struct Coming {
    begun: Instant,
    /// Told when it must make room.
    gives_way: Rc<Notify>,
}

/// The room of one frame; given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    room: Rc<Room>,
    number: u64,
    bytes: u32,
    gives_way: Rc<Notify>,
}

impl Room {
    pub(crate) fn new(bytes_max: usize, times: Times) -> Rc<Room> {
        Rc::new(Room {
            left: Semaphore::new(bytes_max),
            coming: RefCell::default(),
            last: Cell::new(0),
            times,
        })
    }

    pub(crate) fn times(&self) -> &Times {
        &self.times
    }

    /// Waits until there is room for a frame of so many bytes.
    pub(crate) async fn take(self: &Rc<Self>, bytes: u32) -> Box<Held> {
        let mut taken = std::pin::pin!(self.left.acquire_many(bytes));
        loop {
            match timeout_at(self.next_to_give_way(), &mut taken).await {
                Ok(taken) => {
                    taken.expect("nobody closes it").forget();
                    break;
                }
                Err(_) => {
                    self.make_some();
                    // Whoever gives way has to have a turn for that.
                    tokio::task::yield_now().await;
                }
            }
        }
        let number = self.last.get() + 1;
        self.last.set(number);
        let gives_way = Rc::new(Notify::new());
        let coming = Coming {
            begun: Instant::now(),
            gives_way: Rc::clone(&gives_way),
        };
        self.coming.borrow_mut().insert(number, coming);
        Box::new(Held {
            room: Rc::clone(self),
            number,
            bytes,
            gives_way,
        })
    }

    /// When the frame that is coming for longest has had its time; where there is none, those that are whole will leave.
    fn next_to_give_way(&self) -> Instant {
        let coming = self.coming.borrow();
        let oldest = coming.first_key_value().map(|(_, oldest)| oldest.begun);
        oldest.unwrap_or_else(Instant::now) + self.times.frame_min
    }

    /// Has the frame that is coming for longest make room, if it had its time.
    fn make_some(&self) {
        let mut coming = self.coming.borrow_mut();
        if let Some(oldest) = coming.first_entry()
            && oldest.get().begun.elapsed() >= self.times.frame_min
        {
            oldest.remove().gives_way.notify_one();
        }
    }
}

impl Held {
    /// The frame is there: it makes room when it was made use of, and not before.
    pub(crate) fn is_whole(&self) {
        self.room.coming.borrow_mut().remove(&self.number);
    }

    /// Waits until the frame must make room.
    pub(crate) async fn gives_way(&self) {
        self.gives_way.notified().await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.is_whole();
        self.room.left.add_permits(self.bytes as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Frame;
    use crate::connection::{Incoming, ReadError, append_frame};
    use crate::testing::block_on;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    const LONG: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(10);

    /// What a long frame of these tests has.
    const BYTES: usize = 100_000;

    struct Zeros;

    impl Frame for Zeros {
        fn append_payload(self, mut buffer: Vec<u8>) -> Vec<u8> {
            buffer.resize(buffer.len() + BYTES, 0);
            buffer
        }
    }

    /// Both ends of a connection whose frames have `room`.
    async fn connection(room: &Rc<Room>) -> (TcpStream, Incoming) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stream, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        // The half that is not used is not closed for that.
        let (half, other) = accepted.unwrap().0.into_split();
        other.forget();
        let mut incoming = Incoming::new(half);
        incoming.open();
        incoming.share(Rc::clone(room));
        (stream.unwrap(), incoming)
    }

    fn times(stall_max: Duration, frame_max: Duration, frame_min: Duration) -> Times {
        Times {
            stall_max,
            frame_max,
            frame_min,
        }
    }

    #[test]
    fn a_frame_that_stalls_ends_its_connection_and_silence_between_frames_does_not() {
        let whole = append_frame(Zeros, Vec::new());
        // Within the head, within a short frame, and within a long one.
        for half in [&[0][..], &[0, 0, 0, 2, 1], &whole[..BYTES / 2]] {
            block_on(async {
                let room = Room::new(BYTES, times(SHORT, LONG, LONG));
                let (mut stream, mut incoming) = connection(&room).await;
                let silence = tokio::time::timeout(5 * SHORT, incoming.next()).await;
                assert!(silence.is_err(), "{silence:?}");
                stream.write_all(half).await.unwrap();
                assert!(matches!(incoming.next().await, Err(ReadError::Slow)));
            });
        }
    }

    #[test]
    fn a_frame_that_comes_in_drops_ends_its_connection_in_the_end() {
        block_on(async {
            let room = Room::new(BYTES, times(LONG, 5 * SHORT, LONG));
            let (mut stream, mut incoming) = connection(&room).await;
            tokio::task::spawn_local(async move {
                for byte in append_frame(Zeros, Vec::new()) {
                    if stream.write_all(&[byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(SHORT).await;
                }
            });
            assert!(matches!(incoming.next().await, Err(ReadError::Slow)));
        });
    }

    #[test]
    fn long_frames_wait_for_room_and_short_ones_need_none() {
        block_on(async {
            let room = Room::new(BYTES, times(LONG, LONG, LONG));
            let (mut one, mut from_one) = connection(&room).await;
            let (mut other, mut from_other) = connection(&room).await;
            let frame = append_frame(Zeros, Vec::new());
            one.write_all(&frame).await.unwrap();
            let held = from_one.next().await.unwrap().unwrap();
            assert_eq!(held.len(), BYTES);
            other.write_all(&[0, 0, 0, 1, 7]).await.unwrap();
            assert_eq!(&*from_other.next().await.unwrap().unwrap(), [7]);
            other.write_all(&frame).await.unwrap();
            other.write_all(&[0, 0, 0, 1, 8]).await.unwrap();
            let mut next = Box::pin(from_other.next());
            let waits = tokio::time::timeout(5 * SHORT, &mut next).await;
            assert!(waits.is_err(), "{waits:?}");
            drop(held);
            assert_eq!(next.await.unwrap().unwrap().len(), BYTES);
            assert_eq!(&*from_other.next().await.unwrap().unwrap(), [8]);
        });
    }

    #[test]
    fn a_frame_that_had_its_time_makes_room_for_another() {
        block_on(async {
            let room = Room::new(2 * BYTES, times(LONG, LONG, SHORT));
            let frame = append_frame(Zeros, Vec::new());
            let mut halves = Vec::new();
            for _ in 0..2 {
                let (mut stream, mut incoming) = connection(&room).await;
                stream.write_all(&frame[..BYTES / 2]).await.unwrap();
                let half = tokio::task::spawn_local(async move { incoming.next().await.map(drop) });
                halves.push((stream, half));
                // So that it is known who came first.
                while room.coming.borrow().len() < halves.len() {
                    tokio::task::yield_now().await;
                }
            }
            let (mut stream, mut incoming) = connection(&room).await;
            stream.write_all(&frame).await.unwrap();
            assert_eq!(incoming.next().await.unwrap().unwrap().len(), BYTES);
            let (mut streams, mut halves): (Vec<_>, Vec<_>) = halves.into_iter().unzip();
            assert!(matches!(
                halves.remove(0).await.unwrap(),
                Err(ReadError::GivesWay)
            ));
            // One was enough.
            streams[1].write_all(&frame[BYTES / 2..]).await.unwrap();
            assert!(halves.remove(0).await.unwrap().is_ok());
        });
    }
}
