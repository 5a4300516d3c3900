//! Page tokens of FindPersons: where a search goes on, at which revision, and which search it is.
//!
//! ```text
//! format u8 = 1 | revision u64 | instant u64 | year u32 | month u8 | day u8 | uid u64 | digest 8 bytes
//! ```
//!
//! Numbers are big endian. The digest is over all before it and over what is searched for, so that a token that was
//! changed, or that belongs to another search, is told apart. It protects from mistakes: a token gives no more than the
//! search that it belongs to.

use prost::Message;
use sha2::{Digest, Sha256};

use crate::domain::text;
use crate::proto::registry::{Address, FindPersonsRequest};
use crate::raft::NameCursor;

/// The format this version writes and reads.
const FORMAT: u8 = 1;
/// Bytes of the digest.
const DIGEST: usize = 8;
/// Bytes of a token without its digest.
const BODY: usize = 1 + 8 + 8 + 4 + 1 + 1 + 8;

/// Where a search goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Page {
    /// The revision of the first page.
    pub revision: u64,
    /// The instant that the first page was read as of; `u64::MAX` when it was not.
    pub instant_ms: u64,
    /// The last key that was looked at.
    pub after: NameCursor,
}

impl Page {
    /// The token of this place in the search of `request`.
    pub fn token(&self, request: &FindPersonsRequest) -> Vec<u8> {
        let (year, month, day) = self.after.born;
        let mut token = Vec::with_capacity(BODY + DIGEST);
        token.push(FORMAT);
        token.extend(self.revision.to_be_bytes());
        token.extend(self.instant_ms.to_be_bytes());
        token.extend(year.to_be_bytes());
        // A record's month and day are within 31: validated before they came here.
        token.extend([month.to_be_bytes()[3], day.to_be_bytes()[3]]);
        token.extend(self.after.uid.to_be_bytes());
        let digest = digest(&token, request);
        token.extend(digest);
        token
    }

    /// The place that a token of the same search names; `None` for any other token.
    pub fn of(token: &[u8], request: &FindPersonsRequest) -> Option<Self> {
        let (body, sum) = token.split_at_checked(BODY)?;
        if sum != digest(body, request) {
            return None;
        }
        let (format, rest) = body.split_first()?;
        let (revision, rest) = rest.split_first_chunk()?;
        let (instant, rest) = rest.split_first_chunk()?;
        let (year, rest) = rest.split_first_chunk()?;
        let ([month, day], uid) = rest.split_first_chunk()?;
        let born = (u32::from_be_bytes(*year), u32::from(*month), u32::from(*day));
        (*format == FORMAT).then_some(Self {
            revision: u64::from_be_bytes(*revision),
            instant_ms: u64::from_be_bytes(*instant),
            after: NameCursor { born, uid: u64::from_be_bytes(uid.try_into().ok()?) },
        })
    }
}

/// What ties a token to its search: the same fields, whoever asks and however many at once.
fn digest(body: &[u8], request: &FindPersonsRequest) -> [u8; DIGEST] {
    let unit = request.unit.as_ref().map(|unit| Address {
        unit_code: unit.unit_code.clone(),
        unit_edition: unit.unit_edition,
        ..Address::default()
    });
    let searched = FindPersonsRequest {
        name: text::nfc_trimmed(&request.name).into_owned(),
        birth_date: request.birth_date,
        unit,
        options: request.options,
        ..FindPersonsRequest::default()
    };
    let sum = Sha256::new().chain_update(body).chain_update(searched.encode_to_vec()).finalize();
    sum[..DIGEST].try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::registry::{PartialDate, RequestContext};

    #[test]
    fn a_token_goes_on_with_its_own_search_and_no_other() {
        let request = FindPersonsRequest { name: "Nguyễn Lan".to_owned(), ..FindPersonsRequest::default() };
        let after = NameCursor { born: (1990, 5, 31), uid: u64::MAX - 1 };
        let page = Page { revision: 7, instant_ms: u64::MAX, after };
        let token = page.token(&request);
        let asked_otherwise = FindPersonsRequest {
            context: Some(RequestContext { request_id: "another".to_owned(), ..RequestContext::default() }),
            limit: 9,
            page: token.clone().into(),
            ..request.clone()
        };
        assert_eq!(Page::of(&token, &asked_otherwise), Some(page));
        let born = Some(PartialDate { year: 1990, month: 0, day: 0 });
        for other in [
            FindPersonsRequest { name: "Nguyễn Lân".to_owned(), ..request.clone() },
            FindPersonsRequest { birth_date: born, ..request.clone() },
            FindPersonsRequest { unit: Some(Address::default()), ..request.clone() },
        ] {
            assert_eq!(Page::of(&token, &other), None);
        }
        for at in 0..token.len() {
            let mut changed = token.clone();
            changed[at] ^= 1;
            assert_eq!(Page::of(&changed, &request), None, "byte {at}");
            assert_eq!(Page::of(&token[..at], &request), None, "{at} bytes");
        }
        assert_eq!(Page::of(&[&token[..], b"\0"].concat(), &request), None);
    }
}
