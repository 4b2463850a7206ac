//! Whatever is encoded decodes to itself, and whatever bytes come in, decoding them ends in a value or an error.

#![cfg(feature = "codec")]

mod refusals;
mod strategies;

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use strategies::client::{hello, request, response, welcome};
use strategies::peer::message;
use strategies::record::{command, invocation, record, snapshot_part};
use tokio_util::codec::Decoder;
use wire::client::{Request, Response};
use wire::peer::{Body, Message, Packet};
use wire::record::{
    Command, Configuration, EncodedCommand, Encoder, EntryData, Identity, IdentityFormat2, Invocation,
    Record, SnapshotPart,
};
use wire::{DecodeError, Hello, Slice, Welcome};

/// The configuration as the core has it: with one context for each member of which it says something, and none of others.
fn of_members(configuration: &mut Configuration) {
    let Configuration {
        voters,
        outgoing,
        learners,
        contexts,
        ..
    } = configuration;
    let members: BTreeSet<u64> = voters
        .iter()
        .chain(&*outgoing)
        .chain(&*learners)
        .copied()
        .collect();
    let of_members = contexts.drain(..).filter(|(id, _)| members.contains(id));
    let latest: BTreeMap<u64, Bytes> = of_members.collect();
    contexts.extend(latest.into_iter().filter(|(_, context)| !context.is_empty()));
}

fn only_of_members(mut message: Message) -> Message {
    if let Body::Snapshot { snapshot } = &mut message.body {
        of_members(&mut snapshot.configuration);
    } else if let Body::Append { entries, .. } = &mut message.body {
        for entry in entries {
            if let EntryData::Configuration(configuration) = &mut entry.data {
                of_members(configuration);
            }
        }
    }
    message
}

/// Arbitrary bytes seldom get far; bytes that were right but for one do.
fn damaged(encoded: &Bytes, at: prop::sample::Index, to: u8) -> Vec<u8> {
    let mut damaged = encoded.to_vec();
    if !damaged.is_empty() {
        let at = at.index(damaged.len());
        damaged[at] = to;
    }
    damaged
}

fn crc32c(bytes: &[u8]) -> u32 {
    // The message's own checksum of arbitrary bytes, by the error that names it.
    let mut payload = vec![0; 4];
    payload.extend_from_slice(bytes);
    match <Message>::from_payload(&payload) {
        Err(DecodeError::Checksum { computed, .. }) => computed,
        Ok(_) | Err(_) => 0,
    }
}

/// Decodes `bytes`; a value that comes of them, encoded again, decodes to itself.
fn decodes_soundly<T>(bytes: &[u8]) -> Result<(), TestCaseError>
where
    T: serde::Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    if let Ok(value) = wire::decode::<T>(bytes) {
        prop_assert_eq!(wire::decode::<T>(&wire::encode(&value)), Ok(value));
    }
    Ok(())
}

macro_rules! round_trips {
    ($($name:ident: $strategy:expr, $type:ty;)*) => {
        proptest! {
            $(#[test]
            fn $name(value in $strategy, at in any::<prop::sample::Index>(), to in any::<u8>(), more in any::<u8>()) {
                let encoded = wire::encode(&value);
                let decoded = wire::decode::<$type>(&encoded);
                prop_assert_eq!(decoded.as_ref(), Ok(&value));
                for length in 0..encoded.len() {
                    prop_assert_eq!(wire::decode::<$type>(&encoded[..length]), Err(DecodeError::Malformed));
                }
                let mut longer = encoded.to_vec();
                longer.push(more);
                prop_assert_eq!(wire::decode::<$type>(&longer), Err(DecodeError::Trailing(1)));
                decodes_soundly::<$type>(&damaged(&encoded, at, to))?;
            })*
        }
    };
}

round_trips! {
    hellos_survive_the_wire: hello(), Hello;
    welcomes_survive_the_wire: welcome(), Welcome;
    requests_survive_the_wire: request(), Request;
    responses_survive_the_wire: response(), Response;
    commands_survive_the_log: command(), Command;
    invocations_survive_the_log: invocation(), Invocation;
    records_survive_the_log: record(), Record;
    snapshot_parts_survive_their_file: snapshot_part(), SnapshotPart;
    messages_survive_the_wire: message(), Message;
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_values_or_errors(input in vec(any::<u8>(), 0..200)) {
        decodes_soundly::<Hello>(&input)?;
        decodes_soundly::<Welcome>(&input)?;
        decodes_soundly::<Request>(&input)?;
        decodes_soundly::<Response>(&input)?;
        decodes_soundly::<Message>(&input)?;
        decodes_soundly::<Record>(&input)?;
        decodes_soundly::<SnapshotPart>(&input)?;
        decodes_soundly::<Identity>(&input)?;
        decodes_soundly::<IdentityFormat2>(&input)?;
        let _ = Invocation::<Bytes>::from_bytes(&input);
        // A right checksum takes arbitrary bytes past the first door.
        let mut payload = crc32c(&input).to_le_bytes().to_vec();
        payload.extend_from_slice(&input);
        if let Ok(message) = <Message>::from_payload(&payload) {
            let _ = message.into_packet(raft::NodeId(1), raft::NodeId(2));
        }
    }

    #[test]
    fn a_damaged_message_is_noticed(message in message(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let payload = message.to_payload();
        let intact: Result<Message, _> = Message::from_payload(&payload);
        prop_assert_eq!(intact.as_ref(), Ok(&message));
        let place = at.index(payload.len());
        let damaged = damaged(&payload, at, payload[place] ^ (1_u8 << bit));
        let noticed = matches!(<Message>::from_payload(&damaged), Err(DecodeError::Checksum { .. }));
        prop_assert!(noticed);
    }

    #[test]
    fn a_message_becomes_the_cores_and_back(message in message()) {
        let (from, to) = (raft::NodeId(1), raft::NodeId(2));
        let payload = message.to_payload();
        let taken_in = Packet::from_payload(&payload, from, to);
        prop_assert_eq!(&taken_in, &message.clone().into_packet(from, to), "a copy that is shared or one of each");
        if let Ok(packet) = taken_in {
            let term = if matches!(message.body, Body::Parcel(_)) { 0 } else { message.term };
            let told = only_of_members(Message { term, ..message });
            prop_assert_eq!(Message::from(&packet).to_payload(), told.to_payload());
        } else {
            let may_mean_nothing = matches!(message.body, Body::Append { .. } | Body::Snapshot { .. });
            prop_assert!(may_mean_nothing, "only terms, indexes and members can contradict each other");
        }
    }

    #[test]
    fn an_invocation_is_read_back_from_its_entry(invocation in invocation(), version in 3..=u8::MAX) {
        let mut encoded = invocation.to_bytes().to_vec();
        // A command is encoded once, whatever becomes of it, and may lie in what it is decoded from.
        match Invocation::<Slice<'_>>::from_bytes(&encoded).unwrap() {
            Invocation::Plain(command) => {
                prop_assert_eq!(EncodedCommand::from(&command).by_itself(), &encoded);
            }
            Invocation::Once { once, time, command } => {
                prop_assert_eq!(EncodedCommand::from(&command).once(once, time), &encoded);
            }
            Invocation::OpenSession { .. } | Invocation::CloseSession { .. } => {}
        }
        prop_assert_eq!(Invocation::from_bytes(&encoded), Ok(invocation));
        encoded[0] = version;
        let refused = matches!(Invocation::<Bytes>::from_bytes(&encoded), Err(DecodeError::Invalid(_)));
        prop_assert!(refused, "a newer version must not be guessed at");
    }

    #[test]
    fn commands_that_are_encoded_together_are_as_by_themselves(commands in vec(command(), 0..40), long in 0..200_000_usize) {
        let long = Command::Put { key: Bytes::new(), value: Bytes::from(vec![7; long]) };
        let mut encoder = Encoder::default();
        let together: Vec<_> = commands.iter().chain([&long]).chain(&commands).map(|command| encoder.encode(command)).collect();
        for (encoded, command) in together.into_iter().zip(commands.iter().chain([&long]).chain(&commands)) {
            prop_assert_eq!(encoded.by_itself(), command.to_bytes());
        }
    }

    #[test]
    fn frames_come_out_whole_however_they_arrive(payloads in vec(vec(any::<u8>(), 0..50), 0..6), piece in 1_usize..20) {
        let mut stream = Vec::new();
        for payload in &payloads {
            stream.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
            stream.extend_from_slice(payload);
        }
        let (mut codec, mut buffer, mut frames) = (wire::frames(), BytesMut::new(), Vec::new());
        for piece in stream.chunks(piece) {
            buffer.extend_from_slice(piece);
            while let Some(frame) = codec.decode(&mut buffer).unwrap() {
                frames.push(frame.to_vec());
            }
        }
        prop_assert_eq!(frames, payloads);
    }

    #[test]
    fn a_frame_longer_than_allowed_ends_the_connection(beyond in 1..=u32::MAX - (8 << 20)) {
        let hello_max = u32::try_from(wire::limits::HELLO_BYTES_MAX).unwrap();
        let frame_max = u32::try_from(wire::limits::FRAME_BYTES_MAX).unwrap();
        for (mut codec, max) in [(wire::hello_frames(), hello_max), (wire::frames(), frame_max)] {
            prop_assert!(codec.decode(&mut BytesMut::from(&(max + beyond).to_be_bytes()[..])).is_err());
        }
    }
}
