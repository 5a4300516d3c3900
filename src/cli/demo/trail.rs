//! The step that shows who may ask, and the record of it that nobody can quietly change.

use super::narrator::Narrator;
use super::stage::Stage;
use super::steps::{PROVINCES, ROUNDS};
use crate::cli::Failure;
use crate::cli::{audit, policy};
use crate::client::{Certificates, Client, ClientOptions};
use crate::proto::registry::{
    AccessPolicy, AccessRecord, Agency, Attribute, ErrorReason, ExplainRequest, LegalBasis, PersonField,
    QueryAccessesRequest, ReadOptions, VerifyPermission,
};

/// Accesses that are shown.
const SHOWN: usize = 5;
/// More than there are.
const ALL: u32 = 500;

impl Stage {
    /// Has an operator ask for a record, which is denied, and an auditor look for who asked about somebody.
    pub async fn trail(&mut self, narrator: &mut Narrator) -> Result<(), Failure> {
        narrator.step("Who asked about her: an operator is denied, an auditor sees it")?;
        let (her, _) = self.written.first().cloned().expect("it was written before");
        let (central, province) = (&self.clients[0], &self.clients[PROVINCES[1]]);
        province.read(her.clone(), ReadOptions::default()).await?;

        let operator = self.as_operator(PROVINCES[1])?;
        let denied = operator.read(her.clone(), ReadOptions::default()).await.err();
        let why = denied.as_ref().map(|error| error.message().to_owned()).unwrap_or_default();
        narrator.say(&format!("   {why}"))?;
        let is_denied = denied.is_some_and(|error| error.reason() == ErrorReason::MethodNotPermitted);
        narrator.holds(is_denied, "whoever runs the cluster reads no records")?;

        let history = central.access_history(her, ALL, bytes::Bytes::new(), ReadOptions::default()).await?;
        narrator.say(&audit::table_of(&history.accesses[..history.accesses.len().min(SHOWN)]))?;
        let complete = history.coverage.iter().all(|of| of.held == of.known && of.asked_at_ms > 0);
        let verified = |access: &&AccessRecord| {
            access.method == "Verification/Verify" && access.code == 0 && access.caller == "agency demo"
        };
        let count = history.accesses.iter().filter(verified).count();
        narrator.holds(
            complete && count == ROUNDS as usize,
            &format!(
                "a central node tells the {count} verifications of her at the other province, each once"
            ),
        )?;

        let asked = QueryAccessesRequest { refused: true, limit: ALL, ..QueryAccessesRequest::default() };
        let refused = central.query_accesses(asked).await?.accesses;
        let recorded = |access: &AccessRecord| {
            access.reason() == ErrorReason::MethodNotPermitted && access.caller.starts_with("operator")
        };
        narrator.holds(refused.iter().any(recorded), "and so it tells the call that was denied")?;

        self.explained(narrator).await?;
        let Some(access) = history.accesses.first() else {
            return narrator.holds(false, "there is a record to prove");
        };
        let place = self.place_of(access.node_id).await?;
        self.clients[place].checkpoint(access.node_id).await?;
        let proof = self.clients[place].prove_inclusion(access.node_id, access.position).await?;
        let hashes = proof.path.len();
        let included = audit::is_included(&proof, access.node_id, access.position);
        narrator.holds(
            included,
            &format!("{hashes} hashes prove that the newest of these records is in the log that its node has signed"),
        )
    }

    /// Has a bank ask for more than it is licensed for, and the cluster explain why it does not get it.
    async fn explained(&self, narrator: &mut Narrator) -> Result<(), Failure> {
        const BANK: &str = "BANK01";
        let (operator, province) = (&self.clients[0], PROVINCES[0]);
        let verify = |attribute: Attribute| VerifyPermission { attribute: attribute.into(), weakest: 0 };
        let policy = AccessPolicy {
            name: "know-your-customer".to_owned(),
            law: "law 14/2022/QH15 article 10".to_owned(),
            purposes: vec!["know-your-customer".to_owned()],
            legal_bases: vec![LegalBasis::Law.into()],
            verify: vec![verify(Attribute::FullName), verify(Attribute::BirthDate)],
            ..AccessPolicy::default()
        };
        let policies = vec![policy.name.clone()];
        operator.put_policy(policy).await?;
        operator.put_agency(Agency { agency_id: BANK.to_owned(), policies, ..Agency::default() }).await?;

        let folder = self.issuer.agency(BANK).map_err(|e| Failure::Fault(e.to_string()))?;
        let tls = Certificates::load(&folder).map_err(|e| Failure::Fault(e.to_string()))?;
        let options = ClientOptions {
            certificates: Certificates { agency: Some(tls), ..Certificates::default() },
            agency_id: BANK.to_owned(),
            purpose: "know-your-customer".to_owned(),
            legal_basis: LegalBasis::Law,
            ..ClientOptions::default()
        };
        let bank = Client::connect(vec![self.fleet.nodes[province].client_address()], options)?;
        let (her, _) = self.written.first().cloned().expect("it was written before");
        let asked = [PersonField::PermanentResidence];
        let denied = bank.read_attributes(her, &asked, ReadOptions::default()).await.err();
        let told = bank
            .explain(ExplainRequest {
                context: Some(bank.context()),
                read: asked.map(Into::into).to_vec(),
                verify: vec![verify(Attribute::FullName)],
                ..ExplainRequest::default()
            })
            .await?;
        narrator.say(&policy::told_text(&told))?;
        let same = denied.is_some_and(|error| error.reason() == told.reason());
        narrator.holds(
            same && !told.permitted && told.reason() == ErrorReason::AttributeNotPermitted,
            "a bank that may verify a name is denied the address, and is told why",
        )
    }

    /// A client of one node that asks for records with an operator's certificate.
    fn as_operator(&self, place: usize) -> Result<Client, Failure> {
        let agency = self.fleet.certificates.operator.clone();
        let certificates = Certificates { agency, ..Certificates::default() };
        let options = ClientOptions { certificates, ..ClientOptions::default() };
        Ok(Client::connect(vec![self.fleet.nodes[place].client_address()], options)?)
    }

    /// Position of the node with this id.
    async fn place_of(&self, node_id: u64) -> Result<usize, Failure> {
        let nodes = self.clients[0].status(false).await?.nodes;
        let members = nodes.into_iter().filter_map(|node| node.member);
        let name = members.filter(|member| member.node_id == node_id).map(|member| member.name).next();
        let place = name.and_then(|name| self.fleet.nodes.iter().position(|node| node.name() == name));
        place.ok_or_else(|| Failure::Fault(format!("node {node_id} answered and is no member")))
    }
}
