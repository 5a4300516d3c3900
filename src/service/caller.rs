//! Who calls, and which methods they may call: the one place where that is decided, before anything of a call is read.
//!
//! | holder of the certificate | may call |
//! |---|---|
//! | an agency | everything about people, in its own name; of that, what it is licensed for: `domain::policy` |
//! | an operator | `ClusterAdmin` and `Policy`; an observer what changes nothing there; an auditor `Audit` instead |
//! | either | health, reflection, and what is the same for everybody |
//!
//! A method that has no line in the table is refused to everybody: nothing is open because somebody forgot it. Operators
//! read no records and agencies do not run the cluster, whatever else is licensed to them. In the clear
//! (`plaintext = true`) nobody shows who they are, and everything that has a line is open.

use tonic::Status;

use super::status;
use crate::proto::registry::{ErrorReason, RequestContext};
use crate::tls::{Holder, Right};

/// Whom a method is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Everybody who has a certificate.
    All,
    /// Agencies, who ask about people.
    Agencies,
    /// Agencies, who change the register.
    Writers,
    /// Operators who see or change the cluster.
    Operators,
    /// Operators who may change the cluster.
    Administrators,
    /// Operators who see who asked about whom.
    Auditors,
}

/// Each method of the client API, by service.
const METHODS: &[(&str, For, &[&str])] = &[
    (
        "PopulationRegistry",
        For::Writers,
        &[
            "CreatePerson",
            "UpdatePerson",
            "PatchPerson",
            "CommitBatch",
            "CommitEvent",
            "Import",
            "SetPersonStatus",
            "MergePersons",
        ],
    ),
    (
        "PopulationRegistry",
        For::Agencies,
        &["ReadPerson", "BatchReadPersons", "ReadPersonHistory", "FindPersons"],
    ),
    (
        "DataAccess",
        For::Agencies,
        &["ReadPersonAttributes", "ReadAttributeSet", "ListAttributeSets", "ReadHousehold"],
    ),
    (
        "Verification",
        For::Agencies,
        &[
            "Verify",
            "BatchVerify",
            "VerifyStream",
            "VerifyIdentifierLink",
            "ResolveIdentifier",
            "VerifyCredential",
            "VerifyHousehold",
        ],
    ),
    ("UinManagement", For::Writers, &["GenerateUin", "CancelUin", "ReissueUin"]),
    ("Verification", For::All, &["VerifyReceipt"]),
    ("UinManagement", For::All, &["CheckUinStructure"]),
    (
        "Credentials",
        For::Writers,
        &[
            "IssueCredential",
            "UpdateCredential",
            "SuspendCredential",
            "UnsuspendCredential",
            "RevokeCredential",
        ],
    ),
    ("Credentials", For::Agencies, &["ReadCredentials"]),
    ("EidAccount", For::Writers, &["SetEidLevel", "LockEid", "UnlockEid"]),
    ("EidAccount", For::Agencies, &["ReadEid", "UseEid"]),
    ("Consent", For::Writers, &["Grant", "Withdraw"]),
    ("Consent", For::Agencies, &["Check", "List"]),
    ("Policy", For::Administrators, &["PutAgency", "PutProcedure", "PutPolicy", "SuspendAgency"]),
    ("Policy", For::Operators, &["ReadPolicies"]),
    ("Policy", For::All, &["Explain"]),
    ("AdminUnits", For::All, &["GetUnit", "ConvertUnit"]),
    ("ClusterAdmin", For::Operators, &["Status", "Digest"]),
    (
        "ClusterAdmin",
        For::Administrators,
        &[
            "Init",
            "AddNode",
            "Promote",
            "RemoveNode",
            "TransferLeadership",
            "TriggerSnapshot",
            "RotateReceiptKey",
        ],
    ),
    (
        "Audit",
        For::Auditors,
        &["AccessHistory", "Query", "Export", "GetCheckpoint", "ProveInclusion", "ProveConsistency"],
    ),
    ("Health", For::All, &["Check", "Watch", "List"]),
    ("ServerReflection", For::All, &["ServerReflectionInfo"]),
];

/// Whom a method is for, by its name as in "Verification/Verify"; `None` when it is for nobody.
pub(super) fn whom(method: &str) -> Option<For> {
    let (service, method) = method.split_once('/')?;
    let line = METHODS.iter().find(|(name, _, methods)| *name == service && methods.contains(&method));
    line.map(|(_, whom, _)| *whom)
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    /// Nobody knows: the listener is in the clear.
    Unknown,
    /// The holder of the certificate of the connection.
    Known(Holder),
}

impl Caller {
    /// Whether this caller may call a method that is for `whom`.
    ///
    /// # Errors
    /// `METHOD_NOT_PERMITTED` with whose method it is.
    pub fn check_method(&self, whom: For) -> Result<(), Status> {
        let Self::Known(holder) = self else { return Ok(()) };
        let may = match holder {
            Holder::Agency(_) => matches!(whom, For::All | For::Agencies | For::Writers),
            Holder::Operator { right: Right::Observe, .. } => matches!(whom, For::All | For::Operators),
            Holder::Operator { right: Right::Administer, .. } => {
                matches!(whom, For::All | For::Operators | For::Administrators)
            }
            Holder::Operator { right: Right::Audit, .. } => matches!(whom, For::All | For::Auditors),
            Holder::Node(_) => false,
        };
        if may {
            return Ok(());
        }
        let owner = match whom {
            For::All => "holders of a client's certificate",
            For::Agencies | For::Writers => "agencies",
            For::Operators => "operators",
            For::Administrators => "operators with the right to administer",
            For::Auditors => "auditors",
        };
        let text =
            format!("this method is for {owner}; the certificate of this connection is that of {holder}");
        Err(status::denied(ErrorReason::MethodNotPermitted, text))
    }

    /// Who calls, for the record; nothing when nobody knows.
    pub fn name(&self) -> String {
        match self {
            Self::Unknown => String::new(),
            Self::Known(holder) => holder.to_string(),
        }
    }

    /// The agency in whose name a call is made: that of the certificate, which the context must not contradict.
    ///
    /// # Errors
    /// `AGENCY_MISMATCH` when the context names another one, or any and the caller is none.
    pub fn agency<'a>(&'a self, context: &'a RequestContext) -> Result<&'a str, Status> {
        let named = context.agency_id.as_str();
        match self {
            Self::Known(Holder::Agency(id)) if named.is_empty() || *named == **id => Ok(id),
            // Operators ask in nobody's name.
            Self::Known(Holder::Operator { .. }) if named.is_empty() => Ok(named),
            Self::Known(holder) => Err(status::denied(
                ErrorReason::AgencyMismatch,
                format!(
                    "context.agency_id names another agency than the certificate of this connection, which is that of {holder}: \
                     leave it empty in a read, or give the certificate's"
                ),
            )),
            Self::Unknown => Ok(named),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(agency: &str) -> RequestContext {
        RequestContext { agency_id: agency.to_owned(), ..RequestContext::default() }
    }

    #[test]
    fn an_agency_speaks_in_its_own_name() {
        let caller = Caller::Known(Holder::agency("G12"));
        assert_eq!(caller.agency(&context("G12")).unwrap(), "G12");
        assert_eq!(caller.agency(&context("")).unwrap(), "G12", "a read need not name it");
        for other in ["G1", "g12", "G12 "] {
            let refused = caller.agency(&context(other)).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::PermissionDenied, "{other}");
        }
        let operator = Caller::Known(Holder::operator("G12", Right::Administer));
        assert!(operator.agency(&context("G12")).is_err(), "an operator speaks for no agency");
        assert_eq!(operator.agency(&context("")).unwrap(), "");
        assert_eq!(Caller::Unknown.agency(&context("any")).unwrap(), "any");
    }

    #[test]
    fn a_node_of_the_other_circle_may_nothing() {
        let node = Caller::Known(Holder::node("central-1"));
        for whom in
            [For::All, For::Agencies, For::Writers, For::Operators, For::Administrators, For::Auditors]
        {
            assert!(node.check_method(whom).is_err(), "{whom:?}");
        }
    }
}
