//! What `node help json` prints.

pub(crate) const JSON_HELP: &str = "\
JSON on stdout; everything else goes to stderr. Fields may be added, those here stay.

`node status --json` prints an array, an object for each endpoint in the order in which they were named; of one that did not answer
only endpoint and error, the reason in words:

  endpoint        as it was named
  node            its id
  cluster_id      the name of the cluster that it belongs to
  role            \"leader\", \"follower\", \"candidate\" or \"pre-candidate\"
  term            its term
  leader          the id of who leads, as far as it knows; null where it knows of nobody
  first_index     the first entry of its log; what comes before is in its snapshot
  last_index      the last entry of its log
  commit_index    the last entry that it knows to be committed
  applied_index   the last entry that its state has
  snapshot_index  the last entry that its latest snapshot has; 0 where it has none
  state_hash      a hash of its state, 16 hexadecimal digits: the same on all nodes with the same applied_index
  voters          the ids of those who vote
  members         who takes part, as below
  progress        on the leader, how far each other member is; empty on others: {\"node\":n,\"matched\":n,\"next\":n,\"state\":…,
                  \"in_flight\":n,\"active\":…,\"caught_up\":…}; matched is the last entry that is durable there, next the one to be
                  sent next, state \"probe\", \"replicate\" or \"snapshot\", in_flight how many appends are not answered; active: it
                  was heard of lately; caught_up: a learner that may vote
  stages          where its time went since it started, an object for each stage; null where a node does not tell:
                  {\"count\":n,\"p50_us\":n,\"p99_us\":n,\"max_us\":n,\"times\":[[us,n],…]}; microseconds, null where there were none;
                  times are all of them, from the shortest to the longest, each with how often it was, within 1 %
    queue         a request has come and waits for its turn
    encode        requests are taken in, and what leaves for other nodes is given to the sockets
    log_write     a batch is written to the log, not durably yet
    sync          the log is made durable
    peer          an append was sent to another node and is not acknowledged
    apply         what is committed is applied
    reply         answers are encoded and given to the sockets
    commit        all of it, for each write that succeeded

`node members --json` prints an array, an object for each member:

  node            its id
  part            \"voter\" or \"learner\"; while the configuration changes also \"joining\", \"leaving\" or \"demoting\"
  address         where the others reach it; empty where the configuration does not say
  data_folder     the identity of its data folder, 32 hexadecimal digits; null before it was heard of

`node items --json` prints an array in one line: texts, and {\"hex\":…} for an item that is none.

`node wal inspect --json` prints a line for each thing found: {\"file\":…,\"offset\":n,\"bytes\":n,\"found\":…}; found is \"batch\", with its
number in the log as sequence and what it holds in words as record; \"remnant\", what an interrupted write or an older use left;
\"room\", zeros; or \"corrupt\", with the reason and without bytes.

`node probe --json` prints a line: value_bytes, batch_bytes, samples, and for each of sync, client_round_trip, peer_round_trip,
commit_alone, commit and read {\"p50_us\":n,\"p90_us\":n,\"p99_us\":n,\"max_us\":n}.

`node version --json` prints {\"version\":…,\"wire_min\":n,\"wire_max\":n,\"mutants\":…}: the protocols that it speaks, and whether bugs can be
seeded into it. `node serve` prints one line when it serves, `ready` and {\"node\":n,\"listen\":…,\"metrics\":…,\"version\":…,
\"wire_min\":n,\"wire_max\":n}; metrics only where it was asked for.
";
