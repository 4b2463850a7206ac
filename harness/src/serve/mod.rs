//! `harness serve`: the runs of a store in a web page.
//!
//! The pages are small programs that ask for JSON and draw it; nothing is loaded from elsewhere. Everything is read from the store when it
//! is asked for, and nothing is ever written.
//!
//! Who may ask: whoever reaches the address, which by default is this machine's own. What is served there is refused to pages of others:
//! a name that somebody has lead here is not answered to, and files of a run are shown as documents without an origin.
//!
//! - `inside`: no name leads out of the store; `kinds`: the types of files;
//! - `look`: what a folder is, and `scan`: the list of all;
//! - `answer`: which question gets which answer; `details`: what is said of one folder;
//! - `reply`: what every answer says; `body`, `archive`: what it carries.

mod answer;
mod archive;
mod body;
mod details;
mod inside;
mod kinds;
mod look;
mod reply;
mod scan;

use crate::exit::Exit;
use crate::interrupts::Interrupts;
use crate::report::print;
use answer::Answers;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use inside::Store;
use serde::Serialize;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

/// How many connections there may be; further ones wait until others have ended.
const CONNECTIONS_MAX: usize = 128;
/// How long a question may be, its headers included, in bytes.
const QUESTION_BYTES_MAX: usize = 16 << 10;
/// How long a connection may take to ask, also from one question to the next.
const QUESTION_TIME_MAX: Duration = Duration::from_secs(30);
/// How long it may take nothing of an answer.
const STALL_MAX: Duration = Duration::from_secs(60);
/// Between two attempts to accept, where the machine lacks what that takes.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// How long answers may still take when the server is to end.
const LAST_ANSWERS_MAX: Duration = Duration::from_secs(1);

/// What is served, and where.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The folder.
    pub store: PathBuf,
    /// The address; of port 0 the operating system says which.
    pub listen: SocketAddr,
    /// Whether the address is printed as JSON.
    pub json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Line {
    url: String,
    store: String,
}

/// Serves a store until Ctrl-C.
pub async fn serve(options: &ServeOptions) -> Exit {
    let store = Store::new(&options.store);
    if let Err(error) = store.open(Path::new("")) {
        let path = options.store.display();
        eprintln!(
            "harness: can't read the store {path}: {error}; --store names the folder that runs were kept in"
        );
        return Exit::Usage;
    }
    let (listener, address) = match listen(options.listen).await {
        Ok(listening) => listening,
        Err(error) => {
            let address = options.listen;
            eprintln!("harness: can't listen on {address}: {error}; with port 0 a free one is taken");
            return Exit::Usage;
        }
    };
    let mut interrupts = match Interrupts::hear() {
        Ok(interrupts) => interrupts,
        Err(error) => {
            eprintln!("harness: signals can't be heard: {error}");
            return Exit::Internal;
        }
    };
    tell(options, address);
    let stop = CancellationToken::new();
    let answers = Arc::new(Answers::new(store, address.ip().is_loopback()));
    let mut connections = JoinSet::new();
    tokio::select! {
        () = accept(&listener, &answers, &mut connections, &stop) => {}
        () = interrupts.next() => {}
    }
    drop(listener);
    stop.cancel();
    tokio::select! {
        _ = tokio::time::timeout(LAST_ANSWERS_MAX, async { while connections.join_next().await.is_some() {} }) => {}
        () = interrupts.next() => {}
    }
    Exit::Valid
}

async fn listen(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn tell(options: &ServeOptions, address: SocketAddr) {
    let url = format!("http://{address}/");
    let store = options.store.display().to_string();
    if !address.ip().is_loopback() {
        eprintln!("whoever reaches {address} can read everything in {store}");
    }
    eprintln!("serving {store} at {url} until Ctrl-C");
    if options.json {
        let line = serde_json::to_string(&Line { url, store }).expect("a line has string keys");
        print(&format!("{line}\n"));
    }
}

/// Takes connections, for ever.
async fn accept(
    listener: &TcpListener,
    answers: &Arc<Answers>,
    connections: &mut JoinSet<()>,
    stop: &CancellationToken,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        while connections.try_join_next().is_some() {}
        let place = Arc::clone(&room).acquire_owned().await;
        let place = place.expect("nobody closes it");
        match listener.accept().await {
            Ok((socket, _)) => {
                let (answers, stop) = (Arc::clone(answers), stop.clone());
                connections.spawn(async move {
                    converse(socket, answers, stop).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(RETRY_INTERVAL).await,
        }
    }
}

/// Answers what is asked on one connection.
async fn converse(socket: TcpStream, answers: Arc<Answers>, stop: CancellationToken) {
    let mut socket = TimeoutStream::new(socket);
    socket.set_write_timeout(Some(STALL_MAX));
    let service = service_fn(move |question| {
        let answers = Arc::clone(&answers);
        async move { Ok::<_, Infallible>(answers.answer(question).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(QUESTION_TIME_MAX)
        .max_buf_size(QUESTION_BYTES_MAX)
        .serve_connection(TokioIo::new(Box::pin(socket)), service);
    tokio::pin!(connection);
    // How a connection ends is the affair of who made it.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
