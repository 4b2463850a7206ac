//! What `harness help TOPIC` prints.

/// The topics, and their texts.
pub(super) const TOPICS: [(&str, &str); 4] = [
    ("exit-codes", EXIT_CODES),
    ("json", JSON),
    ("run-directory", RUN_DIRECTORY),
    ("systems", crate::systems::EXAMPLE),
];

const EXIT_CODES: &str = "\
Exit codes of `harness`, the same in every command:

  0    valid: what was checked is right; or done
  1    violation: what clients saw has no explanation, a node found its own state broken, one started on data that was damaged, or
       nodes are in different states after the same entries
  2    unknown: it could not be told. Nothing was recorded, or too little before the first fault; a kind of operation that the
       workload needs never succeeded, or none from the first fault on; a fault that was asked for never took effect; a node
       answered another question than it was asked, or nonsense; the cluster did not come back, or a node was not where the
       others were in the end; a node ended by itself, or otherwise than it was told to; a host was lost; the history could not be
       written, or not all of it read back; the check reached a limit; or the run was interrupted
  254  usage: a bad flag, no node program or one of another version, a host that can't be reached or can't run it, a store that
       can't be written, a history that can't be read
  255  internal: the harness or this machine failed; or the check beside a run saw a violation, and the one at the end finds none

Over several tests or files a violation outranks everything; then come 255, 254, unknown, and valid.
";

const JSON: &str = "\
With `--json` stdout has JSON lines only, one object each; everything else goes to stderr. Fields are only ever added.

`harness run` prints a line at the end of each test, and `harness report` one:

  valid        true, false or \"unknown\"
  reason       why it is not true; null if it is
  workload     its name
  system       what was tested: \"node\", \"etcd\", \"redis\", or the path of the file that describes it
  nodes        how many
  seconds      how long the cluster was loaded: for how long operations were begun, the final reads left out
  ops          completed operations by outcome, the final reads among them: {\"ok\":n,\"fail\":n,\"info\":n}
  elections    how many terms with a leader were seen, the first included; null of a system that elects nobody, or does not tell,
               and of a run that was interrupted before it was recorded
  faults       how many faults took effect, by kind: {\"kill\":n,…}; null of such a run
  seed         with `--seed` it makes the same operations and faults
  run_dir      the folder of the run; of one that could not be made, where it should lie

A test that can't be carried through has a line too, unknown for the reason that is also on stderr.

`harness model` prints a line for each world:

  world             its name
  complete          whether every state within its bounds was visited
  unique_states     how many states there are
  generated_states  how many steps were taken
  depth             the longest of the shortest ways to a state
  seconds           how long it took
  violations        broken promises: {\"what\":…,\"steps\":[…],\"script\":[…]}; the script is one in the notation of
                    node/raft/testdata, where it can be put
  unmet             what should be reachable and was not

`harness simulate` prints one line at the end:

  seeds              how many were run
  violations         those that failed: {\"seed\":n,\"invariant\":…,\"what\":…,\"replay\":…,\"steps\":n}; replay is the command that repeats
                     it, steps is how long the story is; the first one was made smaller
  unjudged           how many histories were too much for the checker's memory; all other invariants were held there, too
  shortfall          why it says little that none failed: fewer seeds than were asked for, or no link was cut; else null
  simulated_seconds  how much time passed in all worlds together
  seconds            how long it took
  steps              how many events there were

`harness mutants` prints a line for each bug, and the score to stderr:

  mutant       its name; \"none\" is the node as it is
  found        whether it was found
  by           the first layer that found it: \"model\", \"simulate\" or \"run\"; null if none did
  seconds      how long that layer took; all of them, if none did
  trace_steps  how long the story is: steps of the model, commands of the golden script of a shrunk world, operations of a run;
               null for what never happens where it should
  effort       what it took: states, a seed, or runs
  what         what broke
  replay       the command that repeats it, for a harness with seeded bugs
  layers       each layer that looked, in the same words:
               {\"layer\":…,\"found\":…,\"seconds\":n,\"effort\":…,\"trace_steps\":…,\"what\":…,\"replay\":…,\"shortfall\":…};
               shortfall is why it says little that nothing was found: what was not looked at, or proved nothing; else null

`harness bench` prints a line for each system at each point; all but counts and spreads are medians over rounds:

  system          \"node\", \"etcd\" or \"redis\"
  setting         which of its settings: \"GOMAXPROCS=1\"; null for its default
  placement       where it ran: \"free\" (the operating system decides) or \"pinned\" (the server that is asked has a processor to
                  itself)
  nodes           on how many nodes
  clients         how many there were, each with a connection
  pipeline        how many requests each had in flight
  value_bytes     how long values were
  op              \"put\", \"get\" or \"mixed\"
  rate            requests a second that were begun; null in a closed loop
  rounds          how many there were
  failed_rounds   how many of them have no result
  busy_rounds     during how many of them others used more than 5 % of the machine
  per_second      requests done each second; per_second_min, per_second_max: in the slowest and the fastest round
  p50_us          latency in microseconds; also p90_us, p99_us, p999_us, max_us
  cpu_us_per_op   processor time of all its servers, for each request
  load_cpu        what the load generator used of one processor: from 0.9 on it may be what limits
  foreign_cpu     what others used of the machine, from 0 to 1
  floor_p50_us    what an operation on as many nodes costs at least, by `node probe` in the same rounds; also floor_p99_us; null
                  for a mixture, or if it was not measured
  first_ratio     how many times as many requests a second the first system did, by round: {\"median\":…,\"min\":…,\"max\":…};
                  null for itself
  piped_ratio     where there is one client for each request in flight: the same, of the first system with all of them on one
                  connection, as a point of the same run has it; null without one
  stages          with `--stages`, where the leading node's time went: [{\"stage\":…,\"count\":n,\"p50_us\":…,\"p99_us\":…},…]; null
                  for other systems
  baseline        this as a multiple of the baseline's: {\"per_second\":…,\"p50\":…,\"p99\":…}; null without one
  fsync           whether every answer came after its write was durable; false if the data lay in memory
  done            how many requests were done in the time that was measured
  memory          what each server's process took of the memory when all was done, and at most, in the round where that was most:
                  [{\"resident_bytes\":n,\"peak_bytes\":n},…]; the state itself has keys × (9 + value_bytes) bytes
  checked         how many requests, all of those on a sample of the keys, were judged and found to be linearizable, in all rounds

`harness bench --away` prints one line instead:

  clients, value_bytes, keys, checked   as above
  entries               how many entries went by while the node was away
  saturated_per_second  in a closed loop, with three nodes
  calm                  in an open loop at half of that: {\"per_second\":…,\"p50_us\":…,\"p99_us\":…,\"max_us\":…}; also
                        without (the node), and catching_up, from the node's start on
  caught_up_seconds     from its start until it had applied what the leader had committed
  disk                  {\"peak_bytes\":…,\"state_bytes\":…,\"segment_bytes\":…}: the most that one node had at any moment, its
                        largest snapshot, its largest segment of log

`harness serve` prints one line as soon as it can be asked:

  url    the address of the page
  store  the folder that is served

`harness check` prints a line for each file:

  file           as given
  format         \"native\", \"jepsen\", \"porcupine-etcd\" or \"porcupine-kv\"; null if the file can't be read
  timed          whether its times are nanoseconds since the run began; if not, they are the numbers of lines; null if the file
                 can't be read
  model          the model that judged; null if there was nothing to judge
  valid          true, false or \"unknown\"
  reason         why it is not true; null if it is
  ops            how many operations were judged
  partitions     on how many objects
  engine         which one: \"configurations\" is the general one, the others take linear time; null if there was nothing to judge
  parse_seconds  how long reading took
  check_seconds  how long judging took
  violations     what no order explains: the first one, or with `--all` one for each object that has any:
                   object     its name
                   operation  the operation that no order explains, in words
                   states     what the object could have been instead while the operation was open; of a set whose elements are judged
                              apart, the part that the operation is about
                   states_are_all  whether it could have been nothing else; false where it took too long to tell
                   core       the smallest core, a list of operations: {\"line\":n,\"process\":n,\"node\":n,\"f\":…,\"key\":…,\"value\":…,
                              \"type\":\"ok\" or \"info\",\"result\":…,\"invoked\":n,\"returned\":n}; line is that of the invocation, invoked and
                              returned are times (see timed), returned is null where nobody knows; empty where cycles of
                              transactions are the violation
  unexplained    how many more objects have a violation, which a limit left without an explanation
";

const RUN_DIRECTORY: &str = "\
A run keeps everything in STORE/WORKLOAD/TIME/ (UTC); STORE/latest and STORE/WORKLOAD/latest lead to the last one.

  test.json      what it takes to repeat it: seed, flags, versions, the schedule of faults; see `harness run --replay`
  history.jsonl  what every client did and saw, one line an event, in time order; written as it happens, so that it can be checked
                 even if the harness was killed
  results.json   the line that `--json` prints, and more: latencies, from when operations were sent; why operations failed, what was
                 checked; per_second: operations of the load, the final reads left out; recovery_seconds: from the end of the last
                 fault to the end of the first operation that began after it and was ok, null if there was no fault; ended_early, only
                 where a violation was seen while the run went on: {\"seconds\":…,\"operations\":n,\"object\":…,\"healed\":…,\"confirmed\":…},
                 healed is whether the final reads had begun, confirmed whether the check at the end found one, too, null where it
                 could not tell
  report.txt     what was printed at the end
  report.html    the same, with a timeline of what clients did; opens in a browser, without network
  latency.svg    how long operations of the load took, by kind and outcome, from when they were sent, as in the report; dashed, from
                 their turn on: with `--rate`, what came too late because its client still waited counts from when it was to begin
                 (the timer's own lateness, up to a millisecond or two, is left out); in report.html, too
  rate.svg       how many of them there were a second; in report.html, too
  nodes/N/       each node's data and log; client.log is what clients say that are processes, see `harness help systems`. Where disks
                 can fail (`--nemesis power` and what takes the same), disk/ is the node's disk while it runs, and durable/ what
                 is durable on it; at the end, all of it. With `--hosts` they lie on the hosts, and are fetched when the nodes
                 have been stopped
";

/// The text of a topic.
pub(super) fn topic(name: &str) -> Option<&'static str> {
    TOPICS
        .iter()
        .find(|(topic, _)| *topic == name)
        .map(|(_, text)| *text)
}
