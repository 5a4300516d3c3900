//! The faults by name, and what each needs.

use std::fmt;
use std::str::FromStr;

/// A way to hurt a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    KillLeader,
    KillOne,
    KillAll,
    Bounce,
    PauseLeader,
    PauseOne,
    HandOver,
    Snapshot,
    CutInstall,
    Replace,
    Damage,
    Isolate,
    Split,
    OneWay,
    Ring,
    Links,
    Flap,
    Slow,
    Hole,
    Loss,
    PowerOne,
    PowerAll,
    PowerLog,
    DiskFull,
    SlowDisk,
    FsyncError,
}

/// Where a fault can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Anywhere.
    Nothing,
    /// Network namespaces: `--netns`.
    Net,
    /// Disks of their own: `--disks`.
    Disks,
}

use Fault::{
    Bounce, CutInstall, Damage, DiskFull, Flap, FsyncError, HandOver, Hole, Isolate, KillAll, KillLeader,
    KillOne, Links, Loss, OneWay, PauseLeader, PauseOne, PowerAll, PowerLog, PowerOne, Replace, Ring, Slow,
    SlowDisk, Snapshot, Split,
};

/// Every fault: its name, what it needs, what it does.
pub const FAULTS: [(Fault, &str, Needs, &str); 26] = [
    (KillLeader, "kill-leader", Needs::Nothing, "the leader is killed (kill -9)"),
    (KillOne, "kill-one", Needs::Nothing, "a node is killed"),
    (KillAll, "kill-all", Needs::Nothing, "all nodes are killed at once"),
    (Bounce, "bounce", Needs::Nothing, "the leader is killed and back before anybody stands for election"),
    (PauseLeader, "pause-leader", Needs::Nothing, "the leader is stopped (SIGSTOP), then goes on"),
    (PauseOne, "pause-one", Needs::Nothing, "a node is stopped, then goes on"),
    (HandOver, "hand-over", Needs::Nothing, "the leader is asked to hand over"),
    (Snapshot, "snapshot", Needs::Nothing, "a node is asked for a snapshot"),
    (
        CutInstall,
        "cut-install",
        Needs::Nothing,
        "a new node is killed while it receives and installs its first snapshot, at each step in turn",
    ),
    (Replace, "replace", Needs::Nothing, "a provincial node is removed, emptied and added as a new one"),
    (
        Damage,
        "damage",
        Needs::Nothing,
        "a bit of a provincial node's log flips: it must not start, and is replaced",
    ),
    (Isolate, "isolate", Needs::Net, "the leader is cut off from all others"),
    (Split, "split", Needs::Net, "the nodes are split in two"),
    (OneWay, "one-way", Needs::Net, "a node hears nobody, or nobody hears it"),
    (Ring, "ring", Needs::Net, "one node reaches all, no two others reach each other"),
    (
        Links,
        "links",
        Needs::Net,
        "some links fail one by one, each in one direction, and come back in another order",
    ),
    (Flap, "flap", Needs::Net, "a node is cut off and back several times a second"),
    (Slow, "slow", Needs::Net, "a node sends at 1 Mbit/s, up to 400 ms late"),
    (Hole, "hole", Needs::Net, "large packets of the leader vanish, small ones pass"),
    (Loss, "loss", Needs::Net, "a node loses one packet in seven"),
    (PowerOne, "power-one", Needs::Disks, "a node's power is cut: what was not synced is gone"),
    (PowerAll, "power-all", Needs::Disks, "the power of all nodes is cut at once"),
    (
        PowerLog,
        "power-log",
        Needs::Disks,
        "the power of a log without a node is cut as soon as it has acknowledged a vote, again and again",
    ),
    (DiskFull, "disk-full", Needs::Disks, "a node's disk is full, then there is room again"),
    (SlowDisk, "slow-disk", Needs::Disks, "each fsync of the leader takes 150 ms more"),
    (
        FsyncError,
        "fsync-error",
        Needs::Disks,
        "a node's fsync fails (EIO): it must leave service, and not try again",
    ),
];

impl Fault {
    /// What it needs.
    pub fn needs(self) -> Needs {
        self.row().2
    }

    /// What it does.
    pub fn about(self) -> &'static str {
        self.row().3
    }

    /// Whether it takes the leadership away from a leader.
    pub fn hits_leader(self) -> bool {
        matches!(self, KillLeader | KillAll | PauseLeader | Isolate | PowerAll)
    }

    /// Whether nodes are meant to report an error.
    pub fn is_reported(self) -> bool {
        matches!(self, PowerOne | PowerAll | DiskFull | FsyncError)
    }

    /// Whether it holds the process of whom it hits, so that no other fault may touch it meanwhile.
    pub fn holds(self) -> bool {
        matches!(self, KillLeader | KillOne | KillAll | Bounce | PauseLeader | PauseOne)
            || (self.needs() == Needs::Disks && self != PowerLog)
    }

    /// Whether the process that it hits ends.
    pub fn ends_process(self) -> bool {
        matches!(self, KillLeader | KillOne | KillAll | Bounce | Replace | Damage | PowerOne | PowerAll)
            || matches!(self, DiskFull | FsyncError | CutInstall)
    }

    /// Whether it is over as soon as it is made.
    pub fn is_brief(self) -> bool {
        matches!(self, Bounce | HandOver | Snapshot | CutInstall | Replace | Damage | PowerLog)
    }

    fn row(self) -> (Self, &'static str, Needs, &'static str) {
        FAULTS[self as usize]
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.row().1)
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = FAULTS.iter().find(|row| row.1 == name).map(|row| row.0);
        found.ok_or_else(|| format!("there is no fault {name:?}; --help lists them"))
    }
}
