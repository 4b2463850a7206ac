//! Hosts for tests: servers of ssh on loopback addresses of this machine, as the current user, with keys of their own.
//!
//! `sshd`, `ssh` and `ssh-keygen` are looked for. Where one is missing the tests say so, and pass; with `SSH_REQUIRED` set, as continuous
//! integration has it, they fail. A server takes one connection at a time from a listener here, as from inetd: so its port is taken from the system,
//! and whoever tests knows every process that serves a host.

use rustix::process::{Pid, Signal, kill_process_group};
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tempfile::TempDir;

/// Where the server is, which works only if it is started by its whole path.
const SSHD: [&str; 3] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];
/// Where a server that root starts wants to be locked in before it knows whom it serves.
const LOCKED_IN: &str = "/run/sshd";

/// Hosts, by their names `a`, `b`, …
pub struct Hosts {
    folder: TempDir,
    servers: Vec<Server>,
}

struct Server {
    name: String,
    at: SocketAddr,
    is_over: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<Child>>>,
    accepting: Option<JoinHandle<()>>,
}

impl Hosts {
    /// So many hosts; `None` if what it takes is not installed, which is said.
    ///
    /// # Panics
    /// It is not installed, and `SSH_REQUIRED` is set; or it can't be made to work.
    pub fn start(count: u8) -> Option<Hosts> {
        let sshd = SSHD.map(Path::new).into_iter().find(|path| path.is_file());
        let missing = match sshd {
            None => Some("sshd"),
            Some(_) => ["ssh", "ssh-keygen"].into_iter().find(|name| !is_installed(name)),
        };
        let (Some(sshd), None) = (sshd, missing) else {
            let why = format!("{} is not installed", missing.unwrap_or_default());
            let required = std::env::var_os("SSH_REQUIRED").is_some();
            assert!(!required, "SSH_REQUIRED is set, and {why}");
            println!("skipped: {why}");
            return None;
        };
        if rustix::process::geteuid().is_root() {
            fs::create_dir_all(LOCKED_IN).expect("root makes folders");
        }
        let folder = tempfile::tempdir().expect("there is room for a folder");
        for key in ["host", "user"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(folder.path().join(key))
                .status();
            assert!(made.expect("ssh-keygen runs").success(), "there is a key");
        }
        fs::create_dir(folder.path().join("tmp")).expect("the folder is ours");
        let at = folder.path().display();
        write(
            &folder.path().join("sshd_config"),
            &format!(
                "HostKey {at}/host\nAuthorizedKeysFile {at}/user.pub\nSetEnv TMPDIR={at}/tmp\nUsePAM no\nStrictModes no\n\
                 PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nPidFile none\n"
            ),
        );
        let mut hosts = Hosts {
            folder,
            servers: Vec::new(),
        };
        for number in 1..=count {
            let server = Server::start(sshd, hosts.folder.path(), number);
            hosts.servers.push(server);
        }
        write(&hosts.config(), &hosts.configuration());
        Some(hosts)
    }

    /// How ssh is to reach them.
    fn configuration(&self) -> String {
        let at = self.folder.path().display();
        let mut text = String::new();
        for server in &self.servers {
            let (ip, port) = (server.at.ip(), server.at.port());
            text += &format!("Host {}\n  HostName {ip}\n  Port {port}\n", server.name);
        }
        text + &format!(
            "Host *\n  IdentityFile {at}/user\n  IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {at}/known\n  \
             StrictHostKeyChecking accept-new\n"
        )
    }

    /// A file with the configuration of ssh by which they are reached: `ssh -F FILE a`.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("ssh_config")
    }

    /// Their names, as `--hosts` takes them.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.servers.iter().map(|server| server.name.as_str()).collect();
        names.join(",")
    }

    /// Where a host listens.
    ///
    /// # Panics
    /// There is none of this name.
    pub fn address(&self, name: &str) -> SocketAddr {
        self.server(name).at
    }

    fn server(&self, name: &str) -> &Server {
        let named = self.servers.iter().find(|server| server.name == name);
        named.unwrap_or_else(|| panic!("there is no host {name}"))
    }

    /// Ends whatever serves the host's connections, and takes no more of them. What runs in its sessions is left alone.
    pub fn lose(&self, name: &str) {
        self.server(name).lose();
    }

    /// Has whatever serves the host's connections stand still, as if a cable had been cut.
    ///
    /// # Panics
    /// There is none.
    pub fn silence(&self, name: &str) {
        let connections = self.server(name).connections.lock();
        let groups: Vec<Pid> = connections.expect(NO_PANIC).iter().filter_map(group).collect();
        assert!(!groups.is_empty(), "host {name} has no connection");
        for group in groups {
            kill_process_group(group, Signal::STOP).expect("it serves");
        }
    }

    /// The temporary folder of all of them.
    pub fn temporary(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    /// What is in there.
    ///
    /// # Panics
    /// It can't be read.
    pub fn left_behind(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.temporary()).expect("the folder is ours");
        entries.flatten().map(|entry| entry.path()).collect()
    }

    /// The command lines of all processes that run in a session with one of them.
    ///
    /// # Panics
    /// Processes can't be listed.
    pub fn processes(&self) -> Vec<String> {
        let sign = format!("TMPDIR={}", self.temporary().display());
        let entries = fs::read_dir("/proc").expect("this is Linux").flatten();
        let lines = entries.filter_map(|entry| {
            let environment = fs::read(entry.path().join("environ")).ok()?;
            let is_there = environment
                .split(|byte| *byte == 0)
                .any(|entry| entry == sign.as_bytes());
            let line = fs::read(entry.path().join("cmdline")).ok().filter(|_| is_there)?;
            // One that is dead and not yet buried has none.
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            (!line.is_empty()).then_some(line)
        });
        lines.collect()
    }
}

impl Server {
    fn start(sshd: &Path, folder: &Path, number: u8) -> Server {
        let ip = Ipv4Addr::new(127, 0, 0, number);
        let listener = TcpListener::bind((ip, 0)).expect("all of 127.0.0.0/8 is loopback");
        let at = listener.local_addr().expect("it is bound");
        let is_over = Arc::new(AtomicBool::new(false));
        let connections = Arc::<Mutex<Vec<Child>>>::default();
        let mut serve = Command::new(sshd);
        serve
            .arg("-i")
            .arg("-f")
            .arg(folder.join("sshd_config"))
            .arg("-E")
            .arg(folder.join(format!("sshd-{number}.log")))
            .stderr(Stdio::null())
            .process_group(0);
        let (over, served) = (Arc::clone(&is_over), Arc::clone(&connections));
        let accepting = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let output = stream.try_clone().expect("there is room for a descriptor");
                let child = serve
                    .stdin(OwnedFd::from(stream))
                    .stdout(OwnedFd::from(output))
                    .spawn()
                    .expect("sshd runs");
                served.lock().expect(NO_PANIC).push(child);
                // What the command holds of the connection would keep it open.
                serve.stdin(Stdio::null()).stdout(Stdio::null());
            }
        });
        Server {
            name: char::from(b'a' + number - 1).to_string(),
            at,
            is_over,
            connections,
            accepting: Some(accepting),
        }
    }

    fn lose(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes whoever accepts. If nobody does any more, that is as well.
        let _ = TcpStream::connect(self.at);
        let mut connections = self.connections.lock().expect(NO_PANIC);
        for mut child in connections.drain(..) {
            if let Some(group) = group(&child) {
                // One that has ended by itself is past being killed.
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.lose();
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// Why a lock is never poisoned.
const NO_PANIC: &str = "nothing panics that holds it";

/// The group of a process that leads one.
fn group(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Whether a program is on the path.
fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn write(path: &Path, text: &str) {
    let mut file = fs::File::create(path).expect("the folder is ours");
    file.write_all(text.as_bytes()).expect("there is room");
}
