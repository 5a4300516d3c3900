//! Receipts of verifications: begun before the read, signed after the record of the answer is durable; and VerifyReceipt.
//!
//! ```text
//! begin: is there a key? -> read, compare -> Unsealed -> its record is durable, at a position -> sealed: signed
//! ```

use tonic::Status;

use super::super::call::Call;
use super::super::lookup::Lookup;
use super::super::status;
use crate::proto::registry::{
    AttestedAnswer, ReceiptVerdict, VerifyReceiptResponse, VerifyRequest, VerifyResponse,
};
use crate::receipt::{Answered, Checked, Draft, Refused, attested, check};

/// An answer that may still need its receipt.
pub struct Unsealed {
    pub answer: VerifyResponse,
    pub draft: Option<Draft>,
}

/// Begins the receipt of the answer to a request.
///
/// # Errors
/// `RECEIPT_UNAVAILABLE` when this node signs none now.
pub fn begin(call: &Lookup, request: &VerifyRequest) -> Result<Draft, Status> {
    let absent = Default::default();
    let agency = call.caller().agency(request.context.as_ref().unwrap_or(&absent))?;
    Ok(Draft::of(call.pen()?, request, agency))
}

impl Unsealed {
    /// The answer, with its receipt when one was asked for. `position` is that of its record, which is durable.
    ///
    /// # Errors
    /// `RECEIPT_UNAVAILABLE`: where nothing was recorded, no receipt could say where.
    pub fn sealed(self, position: Option<u64>) -> Result<VerifyResponse, Status> {
        let Self { mut answer, draft } = self;
        let Some(draft) = draft else { return Ok(answer) };
        let position = position.ok_or_else(status::unsigned)?;
        let signed = draft.sign(&Answered { response: &answer, position });
        answer.receipt = Some(signed.ok_or_else(status::unsigned)?);
        Ok(answer)
    }
}

/// Says whether a receipt is genuine.
pub async fn verify(call: &Call, receipt: &str) -> Result<VerifyReceiptResponse, Status> {
    let mut checked = check(receipt, &call.receipt_keys().await?);
    if checked == Err(Refused::UnknownKey) {
        // Another node's newest key may not have come here yet.
        call.catch_up().await?;
        checked = check(receipt, &call.receipt_keys().await?);
    }
    Ok(match checked {
        Ok(checked) => valid(&checked),
        Err(refused) => VerifyReceiptResponse {
            verdict: refused.verdict().into(),
            detail: refused.to_string(),
            ..VerifyReceiptResponse::default()
        },
    })
}

fn valid(checked: &Checked) -> VerifyReceiptResponse {
    let attested: AttestedAnswer = attested(&checked.content);
    VerifyReceiptResponse {
        verdict: ReceiptVerdict::Valid.into(),
        detail: String::new(),
        attested: Some(attested),
        opened: u32::try_from(checked.opened.len()).unwrap_or(u32::MAX),
    }
}
