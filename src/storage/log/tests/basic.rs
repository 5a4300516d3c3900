//! What a caller may rely on while nothing goes wrong.

use super::*;

#[test]
fn a_new_log_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    assert_eq!((log.last(), log.purged(), log.vote(), log.committed()), (None, None, None, None));
    assert_eq!(*log.durable().borrow(), None);
    assert!(read_all(&log).is_empty());
    assert_eq!(log.failed(), None);
}

#[test]
fn everything_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    append(&log, entries(1, 0..50));
    save_vote(&log, Vote { term: 3, node_id: 2, committed: true });
    log.purge(id(1, 9));
    log.truncate_after(Some(id(1, 39)));
    append(&log, entries(3, 40..45));
    log.save_committed(Some(id(1, 30)));
    drop(log);

    for _time in 0..2 {
        let log = open(dir.path()).unwrap();
        assert_eq!(log.vote(), Some(Vote { term: 3, node_id: 2, committed: true }));
        assert_eq!((log.purged(), log.last()), (Some(id(1, 9)), Some(id(3, 44))));
        assert_eq!(log.committed(), Some(id(1, 30)));
        assert_eq!(*log.durable().borrow(), Some(id(3, 44)));
        assert_eq!(read_all(&log), [entries(1, 10..40), entries(3, 40..45)].concat());
        log.close();
    }
}

#[test]
fn entries_are_readable_before_they_are_durable() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    let hold = Hold::at(&log, entries(1, 0..1));
    let calls = Calls::new();
    log.append(entries(1, 1..5), calls.done("append"));
    assert_eq!(log.read(1, 3, usize::MAX).unwrap(), entries(1, 1..3));
    assert_eq!(log.last(), Some(id(1, 4)));
    assert_eq!(*log.durable().borrow(), Some(id(1, 0)));
    drop(hold);
    calls.next().1.unwrap();
    assert_eq!(*log.durable().borrow(), Some(id(1, 4)));
}

#[test]
fn callbacks_come_in_order_and_share_an_fsync() {
    let dir = tempfile::tempdir().unwrap();
    let counter = Arc::new(Counter::default());
    let log = LogStore::open(dir.path(), &LogOptions::default(), counter.clone()).unwrap();
    let hold = Hold::at(&log, entries(1, 0..1));
    let calls = Calls::new();
    for index in 1..=500 {
        log.append(entries(1, index..index + 1), calls.done(index));
    }
    log.save_vote(vote(2), calls.done(501));
    drop(hold);
    for expected in 1..=501 {
        let (tag, result) = calls.next();
        result.unwrap();
        assert_eq!(tag, expected);
    }
    log.close();
    assert_eq!(counter.fsyncs.load(Ordering::SeqCst), 2);
    assert_eq!(counter.entries.load(Ordering::SeqCst), 501);
    assert_eq!(counter.depths.lock().unwrap().iter().max(), Some(&501));
}

#[test]
fn a_batch_keeps_to_its_limits() {
    let dir = tempfile::tempdir().unwrap();
    let counter = Arc::new(Counter::default());
    let options = LogOptions { batch_bytes: 10_000, batch_ops: 8, ..LogOptions::default() };
    let log = LogStore::open(dir.path(), &options, counter.clone()).unwrap();
    let hold = Hold::at(&log, entries(1, 0..1));
    let calls = Calls::new();
    for index in 1..=40 {
        log.append(entries(1, index..index + 1), calls.done(index));
    }
    for index in 41..=60 {
        log.append(vec![entry(1, index, 5_000)], calls.done(index));
    }
    drop(hold);
    (1..=60).for_each(|_| calls.next().1.unwrap());
    assert_eq!(counter.largest.load(Ordering::SeqCst), 8);
    assert_eq!(counter.fsyncs.load(Ordering::SeqCst), 1 + 5 + 10);
}

#[test]
fn a_full_queue_makes_appends_wait_and_lets_them_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { queue_bytes: 10_000, cache_bytes: 0, ..LogOptions::default() };
    let log = LogStore::open(dir.path(), &options, Arc::new(())).unwrap();
    let hold = Hold::at(&log, entries(1, 0..1));
    let calls = Calls::new();
    log.append(vec![entry(1, 1, 20_000)], calls.done(1));

    let (waiting, done) = (log.clone(), calls.done(2));
    let blocked = std::thread::spawn(move || waiting.append(entries(1, 2..3), done));
    assert_eq!(log.last(), Some(id(1, 1)), "the append behind a full queue is not taken yet");
    drop(hold);
    blocked.join().unwrap();
    assert_eq!((calls.next().0, calls.next().0), (1, 2));
    assert_eq!(read_all(&log).len(), 3);
}

#[test]
fn a_read_keeps_to_its_bytes_but_gives_one() {
    let dir = tempfile::tempdir().unwrap();
    for cache_bytes in [0, 16 << 20] {
        let data = dir.path().join(cache_bytes.to_string());
        fs::create_dir(&data).unwrap();
        let options = LogOptions { cache_bytes, ..LogOptions::default() };
        let log = LogStore::open(&data, &options, Arc::new(())).unwrap();
        append(&log, entries(1, 0..20));
        let size = entry(1, 0, 100).bytes.len();
        assert_eq!(log.read(3, 20, 4 * size + 50).unwrap(), entries(1, 3..7));
        assert_eq!(log.read(3, 20, 1).unwrap(), entries(1, 3..4));
        assert_eq!(log.read(3, 5, usize::MAX).unwrap(), entries(1, 3..5));
        assert!(log.read(3, 3, usize::MAX).unwrap().is_empty());
        assert!(log.read(20, 30, usize::MAX).unwrap().is_empty());
        log.purge(id(1, 4));
        assert_eq!(log.read(0, 8, usize::MAX).unwrap(), entries(1, 5..8));
    }
}

#[test]
fn a_reader_behind_the_cache_gets_the_rest_from_disk() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { cache_bytes: 2_000, ..LogOptions::default() };
    let log = LogStore::open(dir.path(), &options, Arc::new(())).unwrap();
    append(&log, entries(1, 0..100));
    let cached = log.shared().front().cache.first_index().unwrap();
    assert!(cached > 80, "the cache keeps to its limit and begins at {cached}");
    assert_eq!(read_all(&log), entries(1, 0..100));
    let size = entry(1, 1, 100).bytes.len();
    let taken = usize::try_from(cached).unwrap();
    assert_eq!(log.read(0, 100, (taken + 2) * size).unwrap().len(), taken + 2);
}

#[test]
fn truncated_entries_are_gone_at_once_and_never_durable_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { batch_ops: 1, ..LogOptions::default() };
    let log = LogStore::open(dir.path(), &options, Arc::new(())).unwrap();
    let hold = Hold::at(&log, entries(1, 0..3));
    let calls = Calls::new();
    let durable = log.durable();
    let watched = durable.clone();
    let (published, seen) = mpsc::channel();
    log.append(entries(1, 3..9), Box::new(move |_| published.send(*watched.borrow()).unwrap()));
    log.truncate_after(Some(id(1, 1)));
    assert_eq!(*durable.borrow(), Some(id(1, 1)));
    assert_eq!(read_all(&log), entries(1, 0..2));
    log.append(entries(2, 2..4), calls.done(()));
    assert_eq!(read_all(&log), [entries(1, 0..2), entries(2, 2..4)].concat());
    drop(hold);
    assert_eq!(
        seen.recv_timeout(DEADLINE).unwrap(),
        Some(id(1, 1)),
        "a truncated entry was published as durable"
    );
    calls.next().1.unwrap();
    assert_eq!(*durable.borrow(), Some(id(2, 3)));
    drop(log);
    let log = open(dir.path()).unwrap();
    assert_eq!(read_all(&log), [entries(1, 0..2), entries(2, 2..4)].concat());
}

#[test]
fn truncation_at_the_ends() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    append(&log, entries(1, 0..10));
    log.truncate_after(Some(id(1, 9)));
    log.truncate_after(Some(id(1, 20)));
    assert_eq!(log.last(), Some(id(1, 9)));
    log.truncate_after(None);
    assert_eq!((log.last(), *log.durable().borrow()), (None, None));
    append(&log, entries(2, 0..5));
    log.purge(id(2, 2));
    log.truncate_after(Some(id(2, 2)));
    assert_eq!((log.last(), log.purged()), (Some(id(2, 2)), Some(id(2, 2))));
    append(&log, entries(3, 3..5));
    drop(log);
    assert_eq!(read_all(&open(dir.path()).unwrap()), entries(3, 3..5));
}

#[test]
fn a_purge_beyond_the_end_moves_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    append(&log, entries(1, 0..10));
    log.purge(id(4, 100));
    assert_eq!((log.last(), log.purged()), (Some(id(4, 100)), Some(id(4, 100))));
    assert!(read_all(&log).is_empty());
    log.purge(id(1, 5));
    assert_eq!(log.purged(), Some(id(4, 100)));
    append(&log, entries(4, 101..103));
    assert_eq!(*log.durable().borrow(), Some(id(4, 102)));
    drop(log);
    let log = open(dir.path()).unwrap();
    assert_eq!(log.purged(), Some(id(4, 100)));
    assert_eq!(read_all(&log), entries(4, 101..103));
}

#[test]
fn an_empty_log_may_begin_anywhere_and_then_has_no_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    append(&log, entries(1, 2..4));
    let calls = Calls::new();
    log.append(entries(1, 5..6), calls.done("gap"));
    log.append(entries(1, 3..5), calls.done("overlap"));
    log.append(vec![entry(1, 4, 1), entry(1, 6, 1)], calls.done("gap within"));
    for _call in 0..3 {
        assert_eq!(calls.next().1.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
    assert_eq!(read_all(&log), entries(1, 2..4));
    drop(log);
    assert_eq!(read_all(&open(dir.path()).unwrap()), entries(1, 2..4));
}

#[test]
fn a_reader_never_sees_two_logs_joined() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { cache_bytes: 10_000, ..LogOptions::default() };
    let log = LogStore::open(dir.path(), &options, Arc::new(())).unwrap();
    let kept = |term: u64| 20 + term % 30;
    append(&log, entries(1, 0..1000));
    std::thread::scope(|scope| {
        let (stop, stopped) = mpsc::channel::<()>();
        let log = &log;
        let reader = scope.spawn(move || {
            while stopped.try_recv() != Err(mpsc::TryRecvError::Disconnected) {
                let read = read_all(log);
                assert!(read.windows(2).all(|pair| pair[0].id.index + 1 == pair[1].id.index));
                let term = read.last().map_or(0, |entry| entry.id.term);
                if term > 1 {
                    // What was truncated before this term wrote is not there any more.
                    let rest = read.iter().filter(|entry| entry.id.index > kept(term));
                    assert_eq!(rest.map(|entry| entry.id.term).min(), Some(term), "two logs were joined");
                }
            }
        });
        for term in 2..100 {
            let keep = kept(term);
            log.truncate_after(Some(log.read(keep, keep + 1, 1).unwrap()[0].id));
            append(log, entries(term, keep + 1..1000));
            if term % 10 == 0 {
                log.purge(log.read(term / 10, term / 10 + 1, 1).unwrap()[0].id);
            }
        }
        drop(stop);
        reader.join().unwrap();
    });
}

#[test]
fn closing_writes_what_is_queued_and_refuses_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    let calls = Calls::new();
    log.append(entries(1, 0..10), calls.done(1));
    log.save_committed(Some(id(1, 5)));
    log.close();
    calls.next().1.unwrap();
    log.append(entries(1, 10..11), calls.done(2));
    log.save_vote(vote(1), calls.done(3));
    for _call in 0..2 {
        let error = calls.next().1.unwrap_err();
        assert!(error.to_string().contains("closed"), "{error}");
    }
    drop(log);
    let log = open(dir.path()).unwrap();
    assert_eq!((log.last(), log.committed(), log.vote()), (Some(id(1, 9)), Some(id(1, 5)), None));
}

#[test]
fn what_is_committed_is_written_without_being_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    append(&log, entries(1, 0..10));
    log.save_committed(Some(id(1, 7)));
    let begun = std::time::Instant::now();
    let row = || log.shared().table.recover().unwrap().committed;
    while row() != Some(id(1, 7)) {
        assert!(begun.elapsed() < DEADLINE, "not written");
        std::thread::yield_now();
    }
}

#[test]
fn what_is_committed_is_never_on_disk_before_the_entries() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { batch_ops: 1, ..LogOptions::default() };
    let log = LogStore::open(dir.path(), &options, Arc::new(())).unwrap();
    let hold = Hold::at(&log, entries(1, 0..1));
    let (found, seen) = mpsc::channel();
    for index in 1..4 {
        let (found, held) = (found.clone(), log.clone());
        let look = move |_| found.send(held.shared().table.recover().unwrap()).unwrap();
        log.append(entries(1, index..index + 1), Box::new(look));
    }
    log.save_committed(Some(id(1, 3)));
    drop(hold);
    for _call in 1..4 {
        let found = seen.recv_timeout(DEADLINE).unwrap();
        assert!(found.committed.map(|id| id.index) <= found.last.map(|id| id.index), "{found:?}");
    }
    log.close();
}
