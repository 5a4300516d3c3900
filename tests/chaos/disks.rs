//! A disk for each node: ext4 in a file. Power can be cut, so that all that was not synced is gone; it can be full.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::command::run;

/// Of each disk. Fast to fill, and enough for the longest run.
const BYTES: u64 = 3 << 30;
/// Shuts the file system down at once, its journal not flushed: what `EXT4_IOC_SHUTDOWN` calls 2.
const SHUTDOWN: &str = "import fcntl,os,struct,sys\n\
                        for path in sys.argv[1:]: fcntl.ioctl(os.open(path, 0), 0x8004587d, struct.pack('I', 2))";

/// The disks, as files and mounts in a folder.
pub struct Disks {
    folder: PathBuf,
}

impl Disks {
    /// Makes and mounts so many disks.
    ///
    /// # Errors
    /// When a command of the system fails.
    pub fn build(folder: &Path, disks: usize) -> io::Result<Self> {
        let made = Self { folder: folder.to_owned() };
        for disk in 0..disks {
            fs::create_dir(made.mount_point(disk))?;
            File::create(made.image(disk))?.set_len(BYTES)?;
            run(&format!("mkfs.ext4 -q -m 0 {}", made.image(disk).display()))?;
            made.mount(disk)?;
        }
        Ok(made)
    }

    /// The data folder of the node on a disk.
    pub fn data(&self, disk: usize) -> PathBuf {
        self.mount_point(disk).join("data")
    }

    /// Cuts the power of these disks: nothing that is not on them yet will be.
    ///
    /// # Errors
    /// When the command fails.
    pub fn cut(&self, disks: &[usize]) -> io::Result<()> {
        let paths = disks.iter().map(|disk| self.mount_point(*disk));
        let output = std::process::Command::new("python3").arg("-c").arg(SHUTDOWN).args(paths).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("no power cut: {}", String::from_utf8_lossy(&output.stderr))))
    }

    /// Mounts a disk whose power was cut as it is found when the power is back. Its node must not run.
    ///
    /// # Errors
    /// When a command fails.
    pub fn restore(&self, disk: usize) -> io::Result<()> {
        run(&format!("umount {}", self.mount_point(disk).display()))?;
        self.mount(disk)
    }

    /// Fills a disk to the last byte, or makes room again.
    ///
    /// # Errors
    /// When the file that fills it can be neither made nor removed.
    pub fn fill(&self, disk: usize, full: bool) -> io::Result<()> {
        let balloon = self.mount_point(disk).join("balloon");
        if !full {
            return fs::remove_file(balloon);
        }
        // A large part at once, then block by block until no more goes in.
        let mut bytes = BYTES;
        while bytes >= 4096 {
            let grown = fs::metadata(&balloon).map_or(0, |file| file.len());
            if run(&format!("fallocate -o {grown} -l {bytes} {}", balloon.display())).is_err() {
                bytes /= 2;
            }
        }
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&balloon)?;
        while file.write_all(&[0; 512]).is_ok() {}
        Ok(())
    }

    fn mount(&self, disk: usize) -> io::Result<()> {
        run(&format!("mount -o loop {} {}", self.image(disk).display(), self.mount_point(disk).display()))
    }

    fn image(&self, disk: usize) -> PathBuf {
        self.folder.join(format!("disk-{disk}.img"))
    }

    fn mount_point(&self, disk: usize) -> PathBuf {
        self.folder.join(format!("disk-{disk}"))
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        // Ends with the mount namespace at the latest.
        for disk in 0.. {
            let point = self.mount_point(disk);
            if !point.is_dir() {
                return;
            }
            let _ = run(&format!("umount {}", point.display()));
        }
    }
}
