use super::*;
use crate::cluster::{Folders, Links, Reach};
use crate::systems::{Adapter, Later, Place, Profile, Tells};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use wire::client::Status;
use workloads::Ret;

/// What a node answers to everything.
#[derive(Clone, Debug)]
enum Answer {
    Ok,
    Refused(Refusal),
    Never,
    /// Nothing, while it looks what there is.
    NothingYet,
}

/// A system whose first node answers with the first of these, and the second with the second.
#[derive(Debug)]
struct Scripted {
    profile: Profile,
    answers: Vec<Answer>,
    asked: Arc<Mutex<Vec<NodeNumber>>>,
}

impl Adapter for Scripted {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn command(&self, _node: NodeNumber, _places: &[Place]) -> Command {
        Command::new("nothing")
    }

    fn dial<'a>(
        &'a self,
        node: NodeNumber,
        _places: &'a [Place],
    ) -> Later<'a, Result<Box<dyn Session>, String>> {
        let session = ScriptedSession {
            node,
            answer: self.answers[usize::try_from(node).unwrap() - 1].clone(),
            asked: Arc::clone(&self.asked),
        };
        Box::pin(async { Ok(Box::new(session) as Box<dyn Session>) })
    }
}

struct ScriptedSession {
    node: NodeNumber,
    answer: Answer,
    asked: Arc<Mutex<Vec<NodeNumber>>>,
}

impl Session for ScriptedSession {
    fn call<'a>(&'a mut self, _op: &'a Op) -> Later<'a, Result<Ret, Refusal>> {
        self.asked.lock().unwrap().push(self.node);
        Box::pin(async {
            match &self.answer {
                Answer::Ok => Ok(Ret::Written),
                Answer::Refused(refusal) => Err(refusal.clone()),
                Answer::Never | Answer::NothingYet => std::future::pending().await,
            }
        })
    }

    fn is_in_doubt(&self) -> bool {
        !matches!(self.answer, Answer::NothingYet)
    }

    fn serves(&mut self) -> Later<'_, bool> {
        Box::pin(async { true })
    }

    fn status(&mut self) -> Later<'_, Option<Status>> {
        Box::pin(async { None })
    }
}

/// Clients of nodes that answer so, and whom they have asked; `down` is no process.
async fn clients(
    answers: &[Answer],
    down: Option<NodeNumber>,
    dir: &std::path::Path,
) -> (Clients, Arc<Mutex<Vec<NodeNumber>>>) {
    let asked = Arc::default();
    let adapter = Scripted {
        profile: Profile {
            program: PathBuf::new(),
            version: String::new(),
            workloads: Vec::new(),
            nemeses: Vec::new(),
            reach: Reach::Directly,
            tells: Tells::Nothing,
            elects: false,
        },
        answers: answers.to_vec(),
        asked: Arc::clone(&asked),
    };
    let links = Links::open(&[], Reach::Directly).await.unwrap();
    let nodes = [1, 2].map(|node| (node, Folders::below(dir, node)));
    let site = Site::new(Arc::new(adapter), nodes.to_vec(), &links).unwrap();
    let addresses = site.clone();
    let clients = Clients {
        site: Some(site),
        address_of: Arc::new(move |node| addresses.client_address(node).filter(|_| Some(node) != down)),
        nodes: vec![1, 2],
        cluster_id: String::new(),
        timeout: Duration::from_millis(50),
        reads_at_home: false,
    };
    (clients, asked)
}

/// What becomes of a write and of a read at node 1 where nodes answer so, and whom the write was sent to; `down` is no process.
async fn outcomes(answers: &[Answer], down: Option<NodeNumber>) -> (Completion, Completion, Vec<NodeNumber>) {
    let dir = tempfile::tempdir().unwrap();
    let (clients, asked) = clients(answers, down, dir.path()).await;
    let write = clients.pinned_to(1).call(&Op::Write { key: 1, value: 1 }).await;
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    let read = clients.pinned_to(1).call(&Op::Read { key: 1 }).await;
    (write, read, asked)
}

fn refused(refusal: Refusal) -> Answer {
    Answer::Refused(refusal)
}

fn elsewhere(node: NodeNumber) -> Answer {
    let reason = String::from("not here");
    refused(Refusal::Elsewhere { node, reason })
}

#[tokio::test]
async fn what_may_have_an_effect_is_info_unless_it_is_a_read() {
    for open in [
        Answer::Never,
        refused(Refusal::Indefinite(String::from("who knows"))),
    ] {
        let (write, read, _) = outcomes(&[open.clone(), Answer::Ok], None).await;
        assert!(matches!(write, Completion::Info(_)), "{open:?}: {write:?}");
        assert!(matches!(read, Completion::Fail(_)), "{open:?}: {read:?}");
    }
}

#[tokio::test]
async fn what_was_refused_has_failed() {
    let full = refused(Refusal::Definite(String::from("full")));
    let (write, _, asked) = outcomes(&[full, Answer::Ok], None).await;
    assert!(
        matches!(&write, Completion::Fail(reason) if reason == "full"),
        "{write:?}"
    );
    assert_eq!(asked, [1]);
    let (write, ..) = outcomes(&[Answer::Ok, Answer::Ok], Some(1)).await;
    assert!(matches!(&write, Completion::Fail(reason) if reason == "node 1 is down"));
}

#[tokio::test]
async fn a_refusal_that_names_another_node_is_followed_a_few_times() {
    let (write, _, asked) = outcomes(&[elsewhere(2), Answer::Ok], None).await;
    assert!(matches!(write, Completion::Ok(_)), "{write:?}");
    assert_eq!(asked, [1, 2]);
    // The first refusal was definite, whatever the second node makes of it.
    let (write, ..) = outcomes(&[elsewhere(2), Answer::Never], None).await;
    assert!(matches!(write, Completion::Info(_)), "{write:?}");
    let (write, ..) = outcomes(&[elsewhere(2), Answer::Ok], Some(2)).await;
    assert!(
        matches!(&write, Completion::Fail(reason) if reason == "redirected to node 2: node 2 is down"),
        "{write:?}"
    );
    let (write, _, asked) = outcomes(&[elsewhere(2), elsewhere(1)], None).await;
    assert!(
        matches!(&write, Completion::Fail(reason) if reason == "not here"),
        "{write:?}"
    );
    assert_eq!(asked, [1, 2, 1, 2]);
}

#[tokio::test]
async fn what_has_only_looked_has_failed_when_nobody_answers() {
    let (write, ..) = outcomes(&[Answer::NothingYet, Answer::Ok], None).await;
    assert!(
        matches!(&write, Completion::Fail(reason) if reason == TIMED_OUT),
        "{write:?}"
    );
}

/// What becomes of an append at node 1 where nodes answer so, and whom it was sent to.
async fn append(answers: &[Answer], is_doubled: bool) -> (Completion, Vec<NodeNumber>) {
    let dir = tempfile::tempdir().unwrap();
    let (clients, asked) = clients(answers, None, dir.path()).await;
    let append = Op::AppendOnce {
        key: 1,
        piece: 2,
        is_doubled,
    };
    let completion = clients.pinned_to(1).call(&append).await;
    (completion, std::mem::take(&mut *asked.lock().unwrap()))
}

#[tokio::test]
async fn an_append_is_sent_to_the_next_node_until_it_is_answered() {
    let (completion, asked) = append(&[Answer::Never, Answer::Ok], false).await;
    assert_eq!(completion, Completion::Ok(Ret::Written));
    assert_eq!(asked, [1, 2]);
    let (completion, asked) = append(&[Answer::Ok, Answer::Never], true).await;
    assert_eq!(completion, Completion::Ok(Ret::Written));
    assert_eq!(asked, [1, 1], "a network doubles it");
}

#[tokio::test]
async fn an_append_of_which_one_sending_is_in_doubt_is_so_whatever_is_said_of_the_others() {
    let full = || refused(Refusal::Definite(String::from("full")));
    let (completion, asked) = append(&[Answer::Never, full()], false).await;
    assert!(matches!(completion, Completion::Info(_)), "{completion:?}");
    assert_eq!(asked, [1, 2, 1, 2, 1, 2]);
    let (completion, _) = append(&[full(), full()], false).await;
    assert!(matches!(completion, Completion::Fail(_)), "{completion:?}");
}
