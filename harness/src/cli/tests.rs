use super::*;

fn refused(arguments: &str) -> String {
    let arguments = ["harness"]
        .into_iter()
        .chain(arguments.split(' '))
        .map(OsString::from);
    match parse(arguments) {
        Err(NoCommand::Wrong(line)) => line,
        Err(NoCommand::Shown(text)) => panic!("help was shown: {text}"),
        Ok(cli) => panic!("accepted: {cli:?}"),
    }
}

fn accepted(arguments: &str) -> RunArgs {
    let arguments = ["harness", "run"]
        .into_iter()
        .chain(arguments.split_whitespace())
        .map(OsString::from);
    match parse(arguments) {
        Ok(Cli {
            command: Command::Run(arguments),
        }) => *arguments,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definition_of_the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn help_is_as_reviewed() {
    let mut command = Cli::command();
    command.build();
    insta::assert_snapshot!("help", command.render_long_help());
    for name in [
        "run", "check", "report", "simulate", "mutants", "bench", "up", "serve",
    ] {
        let subcommand = command.find_subcommand_mut(name).unwrap();
        insta::assert_snapshot!(format!("help_{name}"), subcommand.render_long_help());
    }
    for (name, text) in help::TOPICS {
        insta::assert_snapshot!(format!("help_{name}"), text);
    }
}

#[test]
fn every_flag_has_help() {
    let command = Cli::command();
    for subcommand in command.get_subcommands() {
        for argument in subcommand.get_arguments() {
            assert!(
                argument.get_help().is_some(),
                "{} {}",
                subcommand.get_name(),
                argument.get_id()
            );
        }
    }
}

#[test]
fn a_bad_value_is_one_line_that_says_what_is_allowed() {
    let lines: Vec<String> = [
        "run --nodes 0",
        "run --nodes 100",
        "run --nodes five",
        "run --workload nonsense",
        "run --nemesis earthquake",
        "run --nemesis kill,,pause",
        "run --nemesis kill,none",
        "run --concurrency 0",
        "run --concurrency 0n",
        "run --concurrency n2",
        "run --concurrency 101n",
        "run --rate 0",
        "run --rate fast",
        "run --time-limit 20",
        "run --time-limit 0s",
        "run --timeout -1s",
        "run --seed x",
        "run --test-count 0",
        "run --sed 4",
        "run --replay store/latest --nodes 3",
        "run --test-count 3 --keep-running",
        "check",
        "check --memory-limit 0 x",
        "bench --system node,oracle",
        "bench --nodes 10",
        "bench --clients 1,0",
        "bench --pipeline 1025",
        "bench --value-size 15",
        "bench --op delete",
        "bench --rounds 0",
        "up --nodes 0",
        "serve --listen localhost",
        "serve --listen 127.0.0.1:70000",
        "run --system zookeeper",
        "run --system etcd --replay store/latest",
        "walk",
    ]
    .into_iter()
    .map(|arguments| {
        let line = refused(arguments);
        assert_eq!(line.lines().count(), 1, "{line}");
        format!("{arguments}\n    {line}")
    })
    .collect();
    insta::assert_snapshot!("usage", lines.join("\n"));
}

#[test]
fn without_flags_the_main_job_is_run() {
    let options = options(&accepted("")).unwrap();
    let expected = Options {
        system: crate::systems::SystemName::Node,
        workload: String::from("register"),
        nodes: 5,
        concurrency: 10,
        rate: Some(1000),
        time_limit: Duration::from_secs(20),
        nemesis: crate::nemesis::Kind::ALL.to_vec(),
        nemesis_interval: Duration::from_secs(5),
        timeout: Duration::from_millis(500),
        node_args: Vec::new(),
        follower_reads: false,
        online: true,
    };
    assert_eq!(options, expected);
}

#[test]
fn flags_are_understood() {
    let arguments = accepted(
        "--nodes 3 --concurrency 4n --rate max --nemesis pause,kill,pause --node-arg --mutant --node-arg stale-local-read --no-online",
    );
    let options = options(&arguments).unwrap();
    assert!(!options.online);
    assert_eq!((options.concurrency, options.rate), (12, None));
    assert_eq!(
        options.nemesis,
        [crate::nemesis::Kind::Pause, crate::nemesis::Kind::Kill]
    );
    assert_eq!(options.node_args, ["--mutant", "stale-local-read"]);
    assert_eq!(
        self::options(&accepted("--concurrency 7 --nemesis none"))
            .unwrap()
            .concurrency,
        7
    );
    assert!(
        self::options(&accepted("--nemesis none"))
            .unwrap()
            .nemesis
            .is_empty()
    );
    assert!(
        accepted("--replay store/latest --store elsewhere --test-count 3")
            .replay
            .is_some()
    );
}

#[test]
fn one_node_alone_is_neither_parted_nor_does_it_hand_leadership_over() {
    use crate::nemesis::Kind;
    let options = |arguments| options(&accepted(arguments));
    let all = options("--nodes 1").unwrap().nemesis;
    assert_eq!(all, [Kind::Kill, Kind::Pause, Kind::Member, Kind::Wipe]);
    assert_eq!(options("--nodes 2").unwrap().nemesis, Kind::ALL[..8]);
    assert_eq!(options("--nodes 3").unwrap().nemesis, Kind::ALL);
    assert_eq!(
        options("--nodes 1 --nemesis kill,transfer").unwrap_err(),
        "--nemesis transfer takes 2 nodes or more, and --nodes is 1"
    );
    assert!(options("--nodes 1 --nemesis partition").is_err());
    assert!(options("--nodes 1 --nemesis slow").is_err() && options("--nodes 1 --nemesis flaky").is_err());
    assert!(options("--nodes 2 --nemesis disk").is_err());
    assert!(options("--nodes 2 --nemesis partition,transfer").is_ok());
}

#[test]
fn exit_codes_are_as_documented_and_a_violation_outranks_everything() {
    assert_eq!(
        [
            Exit::Valid,
            Exit::Violation,
            Exit::Unknown,
            Exit::Usage,
            Exit::Internal
        ]
        .map(Exit::code),
        [0, 1, 2, 254, 255]
    );
    assert!(Exit::Violation > Exit::Internal && Exit::Internal > Exit::Usage);
    assert!(Exit::Usage > Exit::Unknown && Exit::Unknown > Exit::Valid);
}
