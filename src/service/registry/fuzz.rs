//! For the fuzzer: page tokens that a client made up. See `crate::fuzz`.

use super::page::Page;
use crate::proto::registry::FindPersonsRequest;

/// A token is read as it was written, or refused.
pub(crate) fn page(request: &FindPersonsRequest) {
    if let Some(page) = Page::of(&request.page, request) {
        assert_eq!(page.token(request), request.page, "a token that no search gave");
    }
}

/// A search that goes on.
#[cfg(test)]
pub(crate) fn seed() -> FindPersonsRequest {
    let mut request = FindPersonsRequest { name: "Nguyễn Lan".to_owned(), ..FindPersonsRequest::default() };
    let after = crate::raft::NameCursor { born: (1990, 5, 31), uid: 7 };
    request.page = Page { revision: 7, instant_ms: u64::MAX, after }.token(&request).into();
    request
}
