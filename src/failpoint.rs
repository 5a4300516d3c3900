//! Named moments between two writes, at which tests end the process as `kill -9` does: no destructor runs and nothing
//! more is written. Not part of a node: only the library's own test build has them. There `DANCU_FAILPOINT=NAME:N` is the
//! N-th pass of one; `storage::tests` kills a process at each and looks at what it left.

/// Declares the moments, so that none can be named that the tests do not walk.
macro_rules! failpoints {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// Where a process may be killed. Named after what was the last to happen.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Failpoint {
            $($(#[doc = $doc])+ $name,)+
        }

        #[cfg(test)]
        impl Failpoint {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The name that `DANCU_FAILPOINT` takes.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

failpoints! {
    /// The new content of a small file is on disk, under another name.
    FileWritten = "file.written",
    /// It has its name; the folder is not synced.
    FileNamed = "file.named",
    /// A file or folder of the state has its final name; the folder above is not synced.
    StateNamed = "state.named",
    /// A folder of the state has the name of rubbish, and is still full.
    FolderDoomed = "state.doomed",
    /// The log's database is open; the mark is as it was found.
    LogOpened = "log.opened",
    /// What is to be written next is known, and the mark lowered if the log gets shorter.
    LogWriting = "log.writing",
    /// A batch is written; whether it was synced, nobody was told.
    LogWritten = "log.written",
    /// A slot of the mark is written and not synced.
    MarkWritten = "log.mark-written",
    /// The log and its mark are on disk; those who wait were not told.
    LogDurable = "log.durable",
    /// Entries are decided, and none of it is written.
    ApplyDecided = "apply.decided",
    /// They are written, and no view shows it.
    ApplyWritten = "apply.written",
    /// The checkpoint of a snapshot is there, under an unfinished name.
    SnapshotFrozen = "snapshot.frozen",
    /// Its files are listed and synced; it has no manifest.
    SnapshotListed = "snapshot.listed",
    /// It is whole, and not yet the newest of the store.
    SnapshotNamed = "snapshot.named",
    /// The folder of a snapshot from another node has its manifest.
    ReceiveBegun = "receive.begun",
    /// A chunk is written and not synced.
    ReceiveWritten = "receive.written",
    /// All files are synced and found right.
    ReceiveChecked = "receive.checked",
    /// The snapshot is among those of this node.
    ReceiveNamed = "receive.named",
    /// The next generation's files are there, under an unfinished name.
    InstallLinked = "install.linked",
    /// Its folder has its name.
    InstallNamed = "install.named",
    /// RocksDB opened it, and it holds what the manifest says.
    InstallOpened = "install.opened",
    /// It is the live generation on disk.
    InstallSwapped = "install.swapped",
    /// It is the live generation in memory, and the snapshot the newest.
    InstallPublished = "install.published",
}

/// The process has come to a moment: nothing happens.
#[cfg(not(test))]
#[inline]
pub fn reached(_: Failpoint) {}

#[cfg(test)]
pub use self::armed::{die, passes, reached};

#[cfg(test)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    use super::Failpoint;

    static PASSES: [AtomicU64; Failpoint::ALL.len()] = [const { AtomicU64::new(0) }; Failpoint::ALL.len()];

    /// The process has come to a moment: it ends here if this is the one that `DANCU_FAILPOINT` names.
    pub fn reached(point: Failpoint) {
        static ARMED: OnceLock<Option<(String, u64)>> = OnceLock::new();
        let pass = PASSES[point as usize].fetch_add(1, Ordering::SeqCst) + 1;
        let armed = ARMED.get_or_init(|| {
            let text = std::env::var("DANCU_FAILPOINT").ok()?;
            let (name, pass) = text.split_once(':').expect("DANCU_FAILPOINT is NAME:N");
            assert!(Failpoint::ALL.iter().any(|point| point.name() == name), "no failpoint is called {name}");
            Some((name.to_owned(), pass.parse().expect("DANCU_FAILPOINT is NAME:N")))
        });
        if armed.as_ref().is_some_and(|(name, nth)| name == point.name() && *nth == pass) {
            die();
        }
    }

    /// How often each was passed, in the order of [`Failpoint::ALL`].
    pub fn passes() -> Vec<u64> {
        PASSES.iter().map(|passes| passes.load(Ordering::SeqCst)).collect()
    }

    /// Ends the process as `kill -9` does.
    pub fn die() -> ! {
        kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
        loop {
            std::thread::park();
        }
    }
}
