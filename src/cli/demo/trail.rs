//! The step that shows who saw whom, and proves it.

use super::narrator::Narrator;
use super::stage::Stage;
use super::steps::{PROVINCES, ROUNDS};
use crate::audit::checkpoint::{is_signed, root};
use crate::audit::merkle::{self, Hash};
use crate::cli::Failure;
use crate::cli::audit::line;
use crate::proto::registry::{AccessRecord, ProveInclusionResponse, ReadOptions};

/// Accesses that are shown.
const SHOWN: usize = 3;

impl Stage {
    /// Asks a central node who saw somebody, and has one record proven by the province that answered.
    pub async fn trail(&mut self, narrator: &mut Narrator) -> Result<(), Failure> {
        narrator.step("Who saw this person? A central node tells, and a record is proven")?;
        let (key, _) = self.written.first().expect("it was written before").clone();
        let options = ReadOptions::default();
        let told = self.clients[0].access_history(key, 500, bytes::Bytes::new(), options).await?;
        let verified = |access: &&AccessRecord| access.method == "Verification/Verify" && access.code == 0;
        let verified: Vec<_> = told.accesses.iter().filter(verified).collect();
        for access in verified.iter().take(SHOWN) {
            let agency = access.context.clone().unwrap_or_default().agency_id;
            let (time, what) = (line::time(access.time_ms), line::what(access, access.persons.first()));
            let place = format!("node {} record {}", access.node_id, access.position);
            narrator.say(&format!("   {time} {agency} at {place}: {what}"))?;
        }
        let all = verified.len() == ROUNDS as usize;
        let counted = format!("{} verifications at the other province, each on record once", verified.len());
        narrator.holds(all, &counted)?;
        let Some(access) = verified.first() else { return Ok(()) };
        let proof = self.clients[PROVINCES[1]].prove_inclusion(access.node_id, access.position).await?;
        let steps = proof.path.len();
        let proven = is_proven(&proof, access);
        narrator.holds(proven, &format!("one of them is proven by {steps} hashes and its node's signature"))
    }
}

fn is_proven(proof: &ProveInclusionResponse, access: &AccessRecord) -> bool {
    let Some(checkpoint) = &proof.checkpoint else { return false };
    let path: Option<Vec<Hash>> = proof.path.iter().map(|hash| hash[..].try_into().ok()).collect();
    let leaf = merkle::leaf(&proof.record);
    let included = path
        .zip(root(checkpoint))
        .is_some_and(|(path, root)| merkle::includes(&leaf, access.position, checkpoint.size, &path, &root));
    included && is_signed(checkpoint) && checkpoint.node_id == access.node_id
}
