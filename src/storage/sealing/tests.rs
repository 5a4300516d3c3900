//! Values sealed and opened; the keyring over starts, rotations and damage.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::EncryptionConfig;

const DAY_MS: u64 = 86_400_000;

/// A master key of this byte.
fn master(byte: u8) -> MasterKey {
    MasterKey::parse("a test", &format!("{byte:02x}").repeat(KEY_LEN)).unwrap()
}

/// The keyring of a folder, under the master key of this byte.
pub(in crate::storage) fn sealed(folder: &Path, byte: u8) -> Arc<Keyring> {
    started(folder, Some(byte), None, 0).unwrap()
}

fn started(
    folder: &Path,
    current: Option<u8>,
    previous: Option<u8>,
    days: u64,
) -> Result<Arc<Keyring>, StorageError> {
    let masters = Masters { current: current.map(master), previous: previous.map(master) };
    Keyring::open(folder, masters, 90, days * DAY_MS)
}

fn seal(keyring: &Keyring, place: &Place, plain: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::new();
    keyring.seal_onto(place, plain, &mut sealed);
    sealed
}

#[test]
fn what_is_sealed_opens_in_its_place_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = sealed(folder.path(), 1);
    let places = [Place::row(1, b"key"), Place::row(1, b"kez"), Place::row(2, b"key"), Place::entry(7)];
    for plain in [&b""[..], b"\x01Nguy\xe1\xbb\x85n", &[7; 5000]] {
        let value = seal(&keyring, &places[0], plain);
        assert_eq!((value[0], value.len()), (SEALED, HEAD_LEN + plain.len() + TAG_LEN));
        assert!(plain.is_empty() || !value.windows(plain.len()).any(|part| part == plain));
        assert_eq!(keyring.open_value("it", &places[0], &value).unwrap(), plain);
        for place in &places[1..] {
            let error = keyring.open_value("a row", place, &value).unwrap_err();
            assert!(error.to_string().starts_with("a row is damaged: it is not what was sealed"), "{error}");
        }
    }
    // Long keys do not lose their end.
    let long = |end: u8| Place::row(4, &[&[9; 200][..], &[end]].concat());
    let value = seal(&keyring, &long(1), b"reply");
    assert_eq!(keyring.open_value("it", &long(1), &value).unwrap(), &b"reply"[..]);
    assert!(keyring.open_value("it", &long(2), &value).is_err());
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (keyring, place) = (sealed(folder.path(), 1), Place::entry(9));
    let value = seal(&keyring, &place, b"a record");
    // Without the format byte it is a value in the clear, of a format that nothing decodes.
    for bit in 8..value.len() * 8 {
        let mut damaged = value.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(keyring.open_value("it", &place, &damaged).is_err(), "bit {bit} flipped and not noticed");
    }
    for bit in 0..8 {
        assert_ne!(value[0] ^ (1 << bit), crate::storage::codec::FORMAT);
    }
    for length in 1..value.len() {
        assert!(keyring.open_value("it", &place, &value[..length]).is_err(), "cut to {length}");
    }
}

#[test]
fn a_node_without_a_key_writes_and_reads_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let (clear, place) = (started(folder.path(), None, None, 0).unwrap(), Place::entry(9));
    assert!(!clear.seals());
    assert!(!folder.path().join("keyring").exists());
    let value = seal(&clear, &place, b"\x01text");
    assert_eq!(value, b"\x01text");
    // A later start with a key reads it, and seals what it writes itself.
    let keyring = sealed(folder.path(), 1);
    assert_eq!(keyring.open_value("it", &place, &value).unwrap(), &b"\x01text"[..]);
    let value = seal(&keyring, &place, b"\x01text");
    let error = clear.open_value("entry 9", &place, &value).unwrap_err();
    assert!(error.to_string().contains("which the file keyring does not hold"), "{error}");
}

#[test]
fn no_nonce_comes_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut nonces = std::collections::BTreeSet::new();
    let mut starts = Vec::new();
    for _ in 0..5 {
        let keyring = sealed(folder.path(), 1);
        starts.push(keyring.active.as_ref().unwrap().start);
        for _ in 0..50 {
            let value = seal(&keyring, &Place::entry(1), b"same");
            assert!(nonces.insert(value[9..HEAD_LEN].to_vec()), "a nonce came twice");
        }
    }
    assert_eq!(starts, [0, 1, 2, 3, 4]);
}

#[test]
fn a_data_key_grows_old_and_stays_for_what_it_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::entry(1);
    let young = started(folder.path(), Some(1), None, 1000).unwrap();
    let value = seal(&young, &place, b"old");
    let same = started(folder.path(), Some(1), None, 1089).unwrap();
    assert_eq!(same.active.as_ref().unwrap().id, young.active.as_ref().unwrap().id);
    let rotated = started(folder.path(), Some(1), None, 1090).unwrap();
    assert_ne!(rotated.active.as_ref().unwrap().id, young.active.as_ref().unwrap().id);
    assert_eq!(rotated.open_value("it", &place, &value).unwrap(), &b"old"[..]);
    assert_ne!(seal(&rotated, &place, b"new")[1..9], value[1..9]);
    assert_eq!(rotated.to_send().len(), 2);
}

#[test]
fn the_master_key_is_needed_and_can_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::entry(1);
    let value = seal(&sealed(folder.path(), 1), &place, b"kept");
    let before = fs::read(folder.path().join("keyring")).unwrap();
    for (current, says) in [(None, "the configuration names none"), (Some(2), "wrapped under another key")] {
        let error = started(folder.path(), current, None, 0).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, StorageError::Keys { .. }), "{text}");
        assert!(text.contains(says) && text.contains("nothing is lost"), "{text}");
    }
    assert_eq!(fs::read(folder.path().join("keyring")).unwrap(), before, "a start that failed changed it");
    let rotated = started(folder.path(), Some(2), Some(1), 0).unwrap();
    assert_eq!(rotated.open_value("it", &place, &value).unwrap(), &b"kept"[..]);
    // From now on the new one alone will do, and the old one does nothing.
    assert_eq!(sealed(folder.path(), 2).open_value("it", &place, &value).unwrap(), &b"kept"[..]);
    assert!(started(folder.path(), Some(1), None, 0).is_err());
}

#[test]
fn a_damaged_keyring_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(sealed(folder.path(), 1));
    let path = folder.path().join("keyring");
    let good = fs::read(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for place in 0..good.len() {
        let mut damaged = good.clone();
        damaged[place] ^= 4;
        fs::write(&path, &damaged).unwrap();
        let error = started(folder.path(), Some(1), None, 0).unwrap_err();
        assert!(matches!(error, StorageError::Corrupt { .. } | StorageError::Format { .. }), "{error}");
        fs::write(&path, &good[..place]).unwrap();
        assert!(started(folder.path(), Some(1), None, 0).is_err(), "cut to {place} bytes");
    }
}

#[test]
fn keys_of_another_node_are_kept_and_never_seal() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (other, place) = (sealed(there.path(), 2), Place::entry(1));
    let value = seal(&other, &place, b"theirs");
    let opens = |keyring: &Keyring| keyring.open_value("it", &place, &value).is_ok();
    let keyring = sealed(here.path(), 1);
    let own = keyring.active.as_ref().unwrap().id;
    assert!(!opens(&keyring));
    keyring.adopt(&other.to_send()).unwrap();
    keyring.adopt(&other.to_send()).unwrap();
    assert!(opens(&keyring));
    assert_eq!(keyring.to_send().len(), 2, "and goes on with the next snapshot");
    let again = sealed(here.path(), 1);
    assert!(opens(&again));
    assert_eq!(again.active.as_ref().unwrap().id, own);

    // On a node in the clear they stand bare, until it gets a master key.
    let clear = tempfile::tempdir().unwrap();
    let keyring = started(clear.path(), None, None, 0).unwrap();
    keyring.adopt(&other.to_send()).unwrap();
    assert!(opens(&keyring) && !keyring.seals());
    let bare = |folder: &Path| {
        let key = &other.to_send()[0].key;
        fs::read(folder.join("keyring")).unwrap().windows(KEY_LEN).any(|part| part == key)
    };
    assert!(opens(&started(clear.path(), None, None, 0).unwrap()) && bare(clear.path()));
    assert!(opens(&sealed(clear.path(), 3)) && !bare(clear.path()));
    assert!(!bare(here.path()));

    let [good] = &other.to_send()[..] else { panic!("one key") };
    let short = DataKey { id: 7, key: vec![1; 31].into() };
    let clash = DataKey { id: good.id, key: vec![1; KEY_LEN].into() };
    for bad in [short, clash] {
        assert!(matches!(again.adopt(&[bad]), Err(StorageError::Keys { .. })));
    }
    let nowhere = Keyring::default().adopt(&other.to_send());
    assert!(matches!(nowhere, Err(StorageError::Keys { .. })), "a keyring without a file forgets");
}

#[test]
fn a_key_file_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let read = |config: &EncryptionConfig| Masters::of(config).map_err(|error| error.to_string());
    let config = EncryptionConfig { key_file: Some(path.clone()), ..EncryptionConfig::default() };
    assert!(read(&config).unwrap_err().contains("master.key cannot be used: it cannot be read"));
    fs::write(&path, MasterKey::generate().unwrap()).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    assert!(read(&config).unwrap_err().contains("chmod 600"));
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert!(read(&config).unwrap().current.is_some());
    for bad in ["", "00", &"0".repeat(63), &"0".repeat(66), &"g".repeat(64), &"é".repeat(32)] {
        fs::write(&path, bad).unwrap();
        assert!(read(&config).unwrap_err().contains("64 hexadecimal digits"), "{bad:?}");
    }
    let config =
        EncryptionConfig { key_env: Some("DANCU_NO_SUCH_KEY".to_owned()), ..EncryptionConfig::default() };
    assert!(read(&config).unwrap_err().contains("DANCU_NO_SUCH_KEY"));
    assert!(read(&EncryptionConfig::default()).unwrap().current.is_none());
}

#[test]
fn no_key_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = sealed(folder.path(), 0xab);
    let masters = Masters { current: Some(master(0xab)), previous: None };
    let printed = format!("{keyring:?} {masters:?} {:?} {:?}", keyring.to_send(), keyring.kept().file);
    for key in keyring.to_send() {
        let first = format!("{:?}", &key.key[..8]);
        assert!(!printed.contains(first.trim_matches(['[', ']'])), "{printed}");
    }
    assert!(!printed.contains("171") && printed.contains("redacted"), "{printed}");
}
