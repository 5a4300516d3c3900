//! Receipts made and checked: what is genuine, and everything that is not.

use base64::Engine as _;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::*;
use crate::proto::registry::claim::Value as Claimed;
use crate::proto::registry::person_key;
use crate::proto::registry::{
    Attribute, AttributeVerdict, Claim, Consistency, MatchStrength, PartialDate, PersonKey, Receipt,
    RequestContext, ResponseMeta, Subject, Verdict, VerifyRequest, VerifyResponse,
};
use crate::proto::store::{NewReceiptKey, ReceiptKey, ReceiptKeysRow};

const CLUSTER: &str = "a-cluster";
const NUMBER: &str = "001190987654";

/// A node that signs, and what its cluster knows of it.
struct Signer {
    _folder: tempfile::TempDir,
    keyring: Keyring,
    row: ReceiptKeysRow,
}

impl Signer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Keyring::open(folder.path(), CLUSTER, 3).unwrap();
        let mut signer = Self { _folder: folder, keyring, row: ReceiptKeysRow::default() };
        assert!(
            signer.keyring.pen().is_none(),
            "nothing is signed with a key that the cluster does not know"
        );
        signer.agree();
        signer
    }

    fn agree(&mut self) -> NewReceiptKey {
        let key = self.keyring.proposal().unwrap();
        if let Some(last) = self.row.keys.last_mut() {
            assert!(last.since_ms < key.since_ms);
            last.until_ms = key.since_ms;
        }
        let NewReceiptKey { public_key, since_ms, .. } = key.clone();
        self.row.keys.push(ReceiptKey { public_key, since_ms, until_ms: 0 });
        self.keyring.agreed(&key);
        assert_eq!(self.keyring.proposal(), None);
        key
    }

    fn keys(&self) -> KeySet {
        KeySet::of(CLUSTER.to_owned(), vec![(3, self.row.clone())])
    }

    fn receipt(&self) -> Receipt {
        let (request, response) = asked();
        let draft = Draft::of(self.keyring.pen().unwrap(), &request, "G12");
        draft.sign(&Answered { response: &response, position: 17 }).unwrap()
    }
}

fn asked() -> (VerifyRequest, VerifyResponse) {
    let claim = |attribute: Attribute, value| Claim {
        attribute: attribute.into(),
        value: Some(value),
        ..Claim::default()
    };
    let claims = vec![
        claim(Attribute::FullName, Claimed::Text("Nguyễn Thị Thúy".to_owned())),
        claim(Attribute::BirthDate, Claimed::Date(PartialDate { year: 1990, month: 5, day: 0 })),
    ];
    let key = Some(PersonKey { key: Some(person_key::Key::PersonalId(NUMBER.to_owned())) });
    let context = RequestContext { procedure_code: "1.004222".to_owned(), ..RequestContext::default() };
    let request = VerifyRequest {
        context: Some(context),
        subject: Some(Subject { key, claims }),
        receipt: true,
        ..VerifyRequest::default()
    };
    let verdict = |attribute: Attribute, verdict: Verdict| AttributeVerdict {
        attribute: attribute.into(),
        verdict: verdict.into(),
        strength: MatchStrength::Canonical.into(),
        note: "a remark".to_owned(),
        ..AttributeVerdict::default()
    };
    let meta = ResponseMeta {
        revision: 42,
        record_revision: 7,
        consistency_served: Consistency::Linearizable.into(),
        ..ResponseMeta::default()
    };
    let response = VerifyResponse {
        meta: Some(meta),
        all_match: false,
        verdicts: vec![
            verdict(Attribute::FullName, Verdict::Match),
            verdict(Attribute::BirthDate, Verdict::NoMatch),
        ],
        ..VerifyResponse::default()
    };
    (request, response)
}

fn whole(receipt: &Receipt, shown: &[usize]) -> String {
    let shown = shown.iter().map(|&place| receipt.disclosures[place].as_str());
    [receipt.jws.as_str()].into_iter().chain(shown).collect::<Vec<_>>().join("~") + "~"
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&BASE64URL.decode(part).unwrap()).unwrap()
}

fn encoded(value: &Value) -> String {
    BASE64URL.encode(value.to_string())
}

#[test]
fn a_thumbprint_is_that_of_rfc_8037_appendix_a() {
    let public_key = BASE64URL.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
    assert_eq!(thumbprint(&public_key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

/// RFC 8037 appendix A.4: the key, and what it signs.
#[test]
fn a_signature_is_that_of_rfc_8037_appendix_a() {
    let seed = BASE64URL.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    assert_eq!(BASE64URL.encode(pair.public_key()), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(BASE64URL.encode(pair.sign(signed.as_bytes())), signature);
}

#[test]
fn a_receipt_tells_codes_and_opens_what_its_holder_shows() {
    let signer = Signer::new();
    let receipt = signer.receipt();
    let payload = decoded(receipt.jws.split('.').nth(1).unwrap());
    let text = payload.to_string();
    for secret in [NUMBER, "Nguyễn", "Thúy", "1990", "remark"] {
        assert!(!text.contains(secret), "{secret} stands in the receipt: {text}");
    }
    assert_eq!(payload["verdicts"][1]["verdict"], "no_match");
    assert_eq!(payload["audit"], json!({ "node_id": 3, "position": 17 }));
    assert_eq!((&payload["agency"], &payload["procedure"]), (&json!("G12"), &json!("1.004222")));
    assert!(payload["revision"] == 42 && payload["all_match"] == false && payload["_sd_alg"] == "sha-256");

    let keys = signer.keys();
    assert_eq!(check(&receipt.jws, &keys).unwrap().opened, []);
    // The number and one claim, and nothing of the other.
    let checked = check(&whole(&receipt, &[0, 4]), &keys).unwrap();
    let [subject, claim] = &checked.opened[..] else { panic!("{checked:?}") };
    assert_eq!((subject.name.as_str(), &subject.value), ("subject", &json!({ "personal_id": NUMBER })));
    assert_eq!((claim.name.as_str(), claim.verdict), ("claim", Some(1)));
    assert_eq!(claim.value, json!({ "attribute": "birth_date", "date": "1990-05" }));
    assert!(!format!("{checked:?}").contains(NUMBER), "a number is printed");
    let all = check(&whole(&receipt, &[4, 3, 2, 1, 0]), &keys).unwrap();
    assert_eq!((all.opened.len(), &all.opened[2].value), (5, &json!(7)));

    // Two receipts of one answer have nothing in common by which they could be told to be about one person.
    let other = signer.receipt();
    let hashes = |receipt: &Receipt| decoded(receipt.jws.split('.').nth(1).unwrap())["_sd"].clone();
    assert_ne!(hashes(&receipt), hashes(&other));
    assert_eq!(attested(&checked.content).verdicts[0].strength(), MatchStrength::Canonical);
    assert_eq!(attested(&checked.content).consistency(), Consistency::Linearizable);
}

/// A receipt that this pair signed, with another header or payload.
fn forged(pair: &Ed25519KeyPair, header: &Value, payload: &Value) -> String {
    let signed = format!("{}.{}", encoded(header), encoded(payload));
    let signature = BASE64URL.encode(pair.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

#[test]
fn what_is_forged_or_edited_is_refused_and_why() {
    let signer = Signer::new();
    let (keys, receipt) = (signer.keys(), signer.receipt());
    let parts: Vec<&str> = receipt.jws.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    let (head, said) = (decoded(header), decoded(payload));
    let edited = |name: &str, value: Value| {
        let mut said = said.clone();
        said[name] = value;
        format!("{header}.{}.{signature}", encoded(&said))
    };
    let headed = |name: &str, value: Value| {
        let mut head = head.clone();
        head[name] = value;
        format!("{}.{payload}.{signature}", encoded(&head))
    };
    // With the public key as the secret, as libraries once took it.
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &signer.row.keys[0].public_key);
    let mut hmac_head = head.clone();
    hmac_head["alg"] = json!("HS256");
    let hmac_signed = format!("{}.{payload}", encoded(&hmac_head));
    let hmac = BASE64URL.encode(ring::hmac::sign(&secret, hmac_signed.as_bytes()));
    let foreign = Signer::new();

    use Refused::{UnknownKey, WrongAlgorithm, WrongDisclosure, WrongSignature};
    let cases = [
        (edited("all_match", json!(true)), WrongSignature),
        (edited("revision", json!(43)), WrongSignature),
        (edited("time_ms", json!(1)), WrongSignature),
        (edited("agency", json!("G13")), WrongSignature),
        (format!("{header}.{payload}.{}", BASE64URL.encode([0; 64])), WrongSignature),
        (format!("{header}.{payload}."), WrongSignature),
        (format!("{header}.{payload}.{}", &signature[..84]), WrongSignature),
        (headed("kid", json!("unknown")), UnknownKey),
        (headed("kid", json!("")), UnknownKey),
        (foreign.receipt().jws, UnknownKey),
        (headed("alg", json!("none")), WrongAlgorithm),
        (format!("{}.{payload}.", encoded(&json!({ "alg": "none" }))), WrongAlgorithm),
        (headed("alg", json!("None")), WrongAlgorithm),
        (headed("alg", json!("eddsa")), WrongAlgorithm),
        (headed("alg", json!("ES256")), WrongAlgorithm),
        (format!("{hmac_signed}.{hmac}"), WrongAlgorithm),
        (whole(&receipt, &[0, 0]), WrongDisclosure),
        (format!("{}~{}", receipt.jws, foreign.receipt().disclosures[0]), WrongDisclosure),
        (format!("{}~~", receipt.jws), WrongDisclosure),
        (format!("{}~{}x~", receipt.jws, receipt.disclosures[3]), WrongDisclosure),
    ];
    for (number, (forgery, refused)) in cases.into_iter().enumerate() {
        assert_eq!(check(&forgery, &keys), Err(refused), "case {number} (from 0)");
    }
}

#[test]
fn what_is_no_receipt_is_refused_and_breaks_nothing() {
    let signer = Signer::new();
    let (keys, receipt) = (signer.keys(), signer.receipt());
    let parts: Vec<&str> = receipt.jws.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    let head = decoded(header);
    let headed = |name: &str, value: Value| {
        let mut head = head.clone();
        head[name] = value;
        format!("{}.{payload}.{signature}", encoded(&head))
    };
    // Of the last letter four bits count, and the others must be 0.
    let (rest, letter) = signature.split_at(signature.len() - 1);
    let last = format!("{rest}{}", char::from(letter.as_bytes()[0] + 1));
    let malformed = [
        String::new(),
        "garbage".to_owned(),
        "a.b".to_owned(),
        "..".to_owned(),
        format!("{header}.{payload}.{signature}.x"),
        format!("{header}.{payload}.{signature}="),
        // Other last bits, which a lax decoder takes for the same signature.
        format!("{header}.{payload}.{last}"),
        receipt.jws[..receipt.jws.len() / 2].to_owned(),
        headed("typ", json!("JWT")),
        headed("crit", json!(["x"])),
        headed("jwk", json!({ "kty": "OKP" })),
        headed("alg", json!(7)),
        format!("{}.{payload}.{signature}", encoded(&json!([]))),
        "~".repeat(100),
        format!("{}~{}", receipt.jws, "x".repeat(MAX_BYTES)),
        "\u{0}\u{FFFD}".to_owned(),
    ];
    for (number, forgery) in malformed.iter().enumerate() {
        assert!(matches!(check(forgery, &keys), Err(Refused::Malformed(_))), "case {number} (from 0)");
    }
    // Cut anywhere, it is nothing.
    for end in 0..receipt.jws.len() {
        assert!(check(&receipt.jws[..end], &keys).is_err(), "cut at {end}");
    }
}

/// What a node of the cluster could sign itself: in another's name, outside of its time, in another version.
#[test]
fn a_key_signs_for_its_node_in_its_time() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let kid = thumbprint(pair.public_key().as_ref());
    let key = |since_ms, until_ms| ReceiptKey {
        public_key: pair.public_key().as_ref().to_vec().into(),
        since_ms,
        until_ms,
    };
    let set = |since_ms, until_ms| {
        KeySet::of(CLUSTER.to_owned(), vec![(3, ReceiptKeysRow { keys: vec![key(since_ms, until_ms)] })])
    };
    let head = json!({ "alg": "EdDSA", "kid": kid, "typ": TYPE });
    let said = |name: &str, value: Value| {
        let mut said = json!({
            "version": 1, "cluster_id": CLUSTER, "node_id": 3, "time_ms": 1_000, "agency": "", "revision": 1,
            "consistency": "linearizable", "staleness_bound_ms": 0, "all_match": true, "verdicts": [],
            "audit": { "node_id": 3, "position": 0 }, "_sd": [], "_sd_alg": "sha-256",
        });
        said[name] = value;
        forged(&pair, &head, &said)
    };
    let genuine = said("agency", json!("G12"));
    let outcome = |receipt: &str, since, until| check(receipt, &set(since, until)).map(|_| ());
    assert_eq!(outcome(&genuine, 1_000, 0), Ok(()));
    assert_eq!(outcome(&genuine, 0, 1_001), Ok(()));
    assert_eq!(outcome(&genuine, 1_001, 0), Err(Refused::OutsidePeriod));
    assert_eq!(outcome(&genuine, 0, 1_000), Err(Refused::OutsidePeriod));
    assert_eq!(outcome(&said("node_id", json!(4)), 0, 0), Err(Refused::WrongSigner));
    assert_eq!(outcome(&said("cluster_id", json!("another")), 0, 0), Err(Refused::WrongSigner));
    assert_eq!(outcome(&said("version", json!(2)), 0, 0), Err(Refused::UnknownVersion));
    assert_eq!(outcome(&said("_sd_alg", json!("sha-512")), 0, 0), Err(Refused::UnknownVersion));
    for (name, value) in [("more", json!(1)), ("verdicts", json!(7)), ("version", json!("1"))] {
        let refused = outcome(&said(name, value), 0, 0);
        assert!(matches!(refused, Err(Refused::Malformed(_))), "{name}: {refused:?}");
    }
    // Signed, and no JSON at all.
    let signed = format!("{}.{}", encoded(&head), BASE64URL.encode("no JSON"));
    let signature = BASE64URL.encode(pair.sign(signed.as_bytes()));
    assert!(matches!(outcome(&format!("{signed}.{signature}"), 0, 0), Err(Refused::Malformed(_))));
}

#[test]
fn a_new_key_leaves_old_receipts_valid_and_survives_a_restart() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut signer = Signer::new();
    let old = signer.receipt();
    let pen = signer.keyring.pen().unwrap();
    signer.keyring.renew(0).unwrap();
    assert!(signer.keyring.pen().is_none(), "the new key waits for the cluster");
    signer.agree();
    let new = signer.receipt();
    let keys = signer.keys();
    assert_ne!(check(&old.jws, &keys).unwrap().kid, check(&new.jws, &keys).unwrap().kid);
    // A receipt that was under way has a time of its key.
    let (request, response) = asked();
    let late = Draft::of(pen, &request, "").sign(&Answered { response: &response, position: 1 }).unwrap();
    check(&late.jws, &keys).unwrap();

    let folder = &signer._folder;
    let file = folder.path().join("receipts/key");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = Keyring::open(folder.path(), CLUSTER, 3).unwrap();
    assert_eq!(again.current(), signer.keyring.current());
    // A clock that was set back, or a key that the cluster knows already, does not stop the next one.
    let far = again.current().1 + 1_000_000_000;
    again.renew(far).unwrap();
    assert_eq!(again.current().1, far + 1);
    std::fs::write(&file, b"damaged").unwrap();
    assert!(Keyring::open(folder.path(), CLUSTER, 3).is_err());
}

#[test]
fn a_set_of_keys_is_standard_and_says_when_they_were_in_use() {
    let mut signer = Signer::new();
    signer.keyring.renew(0).unwrap();
    signer.agree();
    let keys = signer.keys();
    let json = keys.to_json();
    let [first, second] = &json["keys"].as_array().unwrap()[..] else { panic!("{json}") };
    for (name, value) in [("kty", "OKP"), ("crv", "Ed25519"), ("use", "sig"), ("alg", "EdDSA")] {
        assert_eq!(first[name], value);
    }
    assert!(first["until_ms"] == second["since_ms"] && second.get("until_ms").is_none());
    assert_eq!(KeySet::parse(json.to_string().as_bytes()).unwrap(), keys);
    let edited = |name: &str, value: Value| {
        let mut json = json.clone();
        json["keys"][0][name] = value;
        KeySet::parse(json.to_string().as_bytes())
    };
    for (name, value) in
        [("kid", "another"), ("kty", "oct"), ("crv", "X25519"), ("x", "AAAA"), ("x", "not base64")]
    {
        edited(name, json!(value)).unwrap_err();
    }
    KeySet::parse(b"[]").unwrap_err();
}
