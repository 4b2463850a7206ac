use super::run::{RunArgs, options};
use super::*;
use crate::run::Options;
use std::time::Duration;

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
        "run --clock-rates 2",
        "run --clock-rates 2..20",
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
        clock_rates: crate::nemesis::Rates::default(),
        timeout: Duration::from_millis(500),
        node_args: Vec::new(),
        follower_reads: false,
        online: true,
        hosts: None,
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
    let of_disks = Kind::ALL.into_iter().filter(|kind| kind.takes_disks());
    let of_one = [Kind::Kill, Kind::Pause, Kind::Member, Kind::Wipe, Kind::Clock];
    assert!(all.into_iter().eq(of_one.into_iter().chain(of_disks)));
    let of_two = options("--nodes 2").unwrap().nemesis;
    assert!(
        of_two
            .into_iter()
            .eq(Kind::ALL.into_iter().filter(|kind| *kind != Kind::Disk))
    );
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
fn over_hosts_there_are_the_faults_that_a_host_can_be_asked_for() {
    use crate::nemesis::Kind;

    let all = accepted("--hosts a,b --nodes 3");
    let kinds = options(&all).unwrap().nemesis;
    assert!(
        kinds.contains(&Kind::Disk) && !kinds.contains(&Kind::Clock),
        "{kinds:?}"
    );
    assert_eq!(
        tested::left_out(&all).unwrap(),
        "clock, power, crash-point, full, io-error, stall are left out: that takes nodes on this machine, and --hosts names others"
    );
    let named = accepted("--hosts a --nemesis kill");
    assert_eq!(options(&named).unwrap().nemesis, [Kind::Kill]);
    assert_eq!(tested::left_out(&named), None);
    assert_eq!(
        options(&accepted("--hosts a --nemesis kill,clock")).unwrap_err(),
        "--nemesis clock: that takes nodes on this machine, and --hosts names others"
    );
    assert!(options(&accepted("--nemesis clock")).is_ok());
}

#[test]
fn clocks_run_as_wrong_as_leases_allow_unless_other_rates_are_asked_for() {
    use crate::nemesis::Rates;
    let rates = |arguments: &str| options(&accepted(arguments)).unwrap().clock_rates;
    assert_eq!(rates("--nemesis clock"), Rates::default());
    assert_eq!(rates("--node-arg --lease-reads"), Rates::WITHIN_LEASES);
    let asked = rates("--node-arg --lease-reads --clock-rates 0.5..2");
    assert_eq!(asked.to_string(), "0.5..2");
    assert_eq!(
        options(&accepted("--nemesis kill --clock-rates 0.5..2")).unwrap_err(),
        "--clock-rates is for --nemesis clock"
    );
}

#[test]
fn a_program_that_is_linked_statically_keeps_its_clocks() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("static");
    // An executable file whose parts are none, and so no name of a loader.
    let mut header = [0_u8; 64];
    header[..5].copy_from_slice(b"\x7fELF\x02");
    std::fs::write(&program, header).unwrap();
    let program = program.display();
    let named = options(&accepted(&format!("--nemesis clock --node-binary {program}")));
    assert!(named.unwrap_err().contains("is linked statically"));
    let all = options(&accepted(&format!("--node-binary {program}"))).unwrap();
    let others = crate::nemesis::Kind::ALL.into_iter();
    let others = others.filter(|kind| *kind != crate::nemesis::Kind::Clock);
    assert!(all.nemesis.into_iter().eq(others));
    let others = options(&accepted(&format!("--nemesis kill --node-binary {program}")));
    assert_eq!(others.unwrap().nemesis, [crate::nemesis::Kind::Kill]);
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
