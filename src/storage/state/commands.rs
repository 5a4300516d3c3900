//! The commands of a log entry: as they were encoded, and decoded.
//!
//! What a command asks for is kept as a hash in the request table, so that a request id that comes again with other content
//! is refused. The hash is over the bytes that came, without those of who asks and of the random numbers: the leader encodes
//! a command once, fields in the order of their numbers, and to encode it again on every node took longer than to hash it.

use bytes::Bytes;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use prost::{DecodeError, Message};
use sha2::{Digest, Sha256};

use crate::proto::store::Command;

/// Number of `Command.context`.
const CONTEXT: u32 = 1;
/// Number of `Command.entropy`.
const ENTROPY: u32 = 6;

/// A `store::Batch` whose commands are left as they are encoded.
#[derive(Clone, PartialEq, Message)]
struct Encoded {
    #[prost(uint64, tag = "1")]
    proposed_at_ms: u64,
    #[prost(uint64, tag = "2")]
    request_window_ms: u64,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    commands: Vec<Bytes>,
}

/// A batch, as `store::Batch` has it.
pub(super) struct Commands {
    /// The leader's clock when it proposed them.
    pub proposed_at_ms: u64,
    /// How long their replies are kept.
    pub request_window_ms: u64,
    /// The commands, in order.
    pub commands: Vec<Received>,
}

/// A command, and the bytes that it was made of.
pub(super) struct Received {
    /// The command.
    pub command: Command,
    encoded: Bytes,
}

impl Commands {
    /// Reads an encoded batch.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let Encoded { proposed_at_ms, request_window_ms, commands } = Encoded::decode(bytes)?;
        let commands = commands.into_iter().map(Received::decode).collect::<Result<_, _>>()?;
        Ok(Self { proposed_at_ms, request_window_ms, commands })
    }
}

impl Received {
    fn decode(encoded: Bytes) -> Result<Self, DecodeError> {
        Ok(Self { command: Command::decode(encoded.clone())?, encoded })
    }

    /// SHA-256 of what the command asks for, whoever asks.
    pub fn op_sha256(&self) -> Result<[u8; 32], DecodeError> {
        let mut hash = Sha256::new();
        let mut rest = &self.encoded[..];
        while !rest.is_empty() {
            let field = rest;
            let (tag, wire_type) = decode_key(&mut rest)?;
            skip_field(wire_type, tag, &mut rest, DecodeContext::default())?;
            if !matches!(tag, CONTEXT | ENTROPY) {
                hash.update(&field[..field.len() - rest.len()]);
            }
        }
        Ok(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixtures::{context, full_person};
    use crate::proto::registry::write::Write as Kind;
    use crate::proto::registry::{CreatePerson, Write};
    use crate::proto::store::command::Op;
    use crate::proto::store::{AllocateNode, Batch};

    fn ops() -> Vec<Option<Op>> {
        let create = CreatePerson { person: Some(full_person()), accept_existing: true };
        vec![
            Some(Op::Write(Write { write: Some(Kind::Create(create)) })),
            Some(Op::Write(Write::default())),
            Some(Op::AllocateNode(AllocateNode { name: "node-7".to_owned() })),
            None,
        ]
    }

    #[test]
    fn the_hash_is_that_of_the_op_encoded_alone() {
        for op in ops() {
            let alone = Command { op, ..Command::default() };
            let expected: [u8; 32] = Sha256::digest(alone.encode_to_vec()).into();
            let asked = Command { context: Some(context()), entropy: vec![7; 16].into(), ..alone };
            for command in [asked.clone(), Command { entropy: Bytes::new(), ..asked }] {
                let received = Received::decode(command.encode_to_vec().into()).unwrap();
                assert_eq!(received.op_sha256().unwrap(), expected);
                assert_eq!(received.command, command);
            }
        }
    }

    #[test]
    fn a_batch_is_what_was_encoded() {
        let command = |op| Command { context: Some(context()), op, ..Command::default() };
        let batch = Batch {
            proposed_at_ms: 7,
            request_window_ms: 9,
            commands: ops().into_iter().map(command).collect(),
        };
        let read = Commands::decode(batch.encode_to_vec().into()).unwrap();
        assert_eq!((read.proposed_at_ms, read.request_window_ms), (7, 9));
        let commands: Vec<_> = read.commands.into_iter().map(|received| received.command).collect();
        assert_eq!(commands, batch.commands);
        assert!(Commands::decode(Bytes::from_static(&[0x1a, 1, 0xff])).is_err());
    }
}
