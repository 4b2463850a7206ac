//! Histories to measure on: recorded ones, if they are there, and made ones that are linearizable by construction.

use checker::models::{CasRegister, RegisterOp};
use checker::{Dialect, Log, Model, Operation, Vocabulary, objects};
use std::fs;
use std::path::{Path, PathBuf};

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) struct Random(u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// What a made history is like.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Where its chance comes from: equal shapes make equal histories.
    pub seed: u64,
    /// How many operations.
    pub operations: u64,
    /// By how many processes, each of which is nearly always at one.
    pub processes: u64,
    /// How many different values there are; 0: each write has its own, and there is no compare-and-set.
    pub values: u64,
    /// One of so many operations loses its answer; 0: none does.
    pub lost: u64,
}

/// What a process is at.
enum Phase<R> {
    Idle,
    /// Its operation's place.
    Invoked(usize),
    Done(usize, R),
}

/// A history of one object. At each instant some process takes a step: it invokes what is to be done next, or its operation takes
/// effect, or it returns.
pub(crate) fn history<M: Model>(
    shape: Shape,
    mut object: M,
    mut choose: impl FnMut(&mut Random, u64) -> M::Op,
) -> Vec<Operation<M>> {
    let mut random = Random(shape.seed);
    let mut operations: Vec<Operation<M>> = Vec::new();
    let mut clients: Vec<(u64, Phase<M::Ret>)> =
        (0..shape.processes).map(|client| (client, Phase::Idle)).collect();
    let (mut time, mut left, mut busy, mut next_process) = (0, shape.operations, 0, shape.processes);
    while left > 0 || busy > 0 {
        time += 1;
        let place = usize::try_from(random.below(shape.processes)).expect("clients are in memory");
        let (process, phase) = &mut clients[place];
        *phase = match std::mem::replace(phase, Phase::Idle) {
            Phase::Idle if left == 0 => Phase::Idle,
            Phase::Idle => {
                left -= 1;
                busy += 1;
                operations.push(Operation {
                    process: *process,
                    node: None,
                    op: choose(&mut random, left),
                    ret: None,
                    invoked: time,
                    returned: u64::MAX,
                });
                Phase::Invoked(operations.len() - 1)
            }
            Phase::Invoked(_) | Phase::Done(..) if shape.lost > 0 && random.below(2 * shape.lost) == 0 => {
                busy -= 1;
                (*process, next_process) = (next_process, next_process + 1);
                Phase::Idle
            }
            Phase::Invoked(place) => Phase::Done(place, object.invoke(&operations[place].op)),
            Phase::Done(place, ret) => {
                busy -= 1;
                (operations[place].ret, operations[place].returned) = (Some(ret), time);
                Phase::Idle
            }
        };
    }
    operations
}

/// A history of one register.
pub(crate) fn register(shape: Shape) -> Vec<Operation<CasRegister>> {
    let mut operations = history(shape, CasRegister::default(), |random, unique| {
        choose(random, shape, unique)
    });
    // Nobody saw what a lost read returned.
    operations.retain(|operation| operation.ret.is_some() || operation.op != RegisterOp::Read);
    operations
}

fn choose(random: &mut Random, shape: Shape, unique: u64) -> RegisterOp {
    match random.below(4) {
        0 | 1 => RegisterOp::Read,
        _ if shape.values == 0 => RegisterOp::Write(unique),
        2 => RegisterOp::Write(random.below(shape.values)),
        _ => RegisterOp::Cas(Some(random.below(shape.values)), random.below(shape.values)),
    }
}

/// The objects of the recorded histories whose path has `part` in it, each with its path; `None` where there are none.
pub(crate) fn recorded<M: Vocabulary>(part: &str, dialect: Dialect) -> Option<Vec<Vec<Operation<M>>>> {
    let folder = match std::env::var_os("HISTORIES") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/histories"),
    };
    let Ok(table) = fs::read_to_string(folder.join("verdicts.tsv")) else {
        eprintln!(
            "SKIPPED: no histories in {}; name their folder by HISTORIES",
            folder.display()
        );
        return None;
    };
    let files = table.lines().skip(1).filter_map(|row| row.split('\t').next());
    let mut found = Vec::new();
    for file in files.filter(|file| file.contains(part)) {
        let bytes = fs::read(folder.join(file)).expect("the table names files that are there");
        let log = Log::read(&bytes).expect("the table names files that can be read");
        let of_file = objects::<M>(&log, dialect).expect("the table names the model");
        found.extend(of_file.into_iter().map(|(_, operations)| operations));
    }
    Some(found)
}
