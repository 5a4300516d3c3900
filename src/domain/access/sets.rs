//! The attribute sets: which procedure may read what, and why.
//!
//! What a cluster begins with: a procedure that an operator puts takes the place of the one here (`Policy.PutProcedure`). The
//! codes have the form of the national list of administrative procedures; what each set holds follows the papers that the
//! procedure used to ask for and that the register now answers.

use crate::proto::registry::PersonField as F;

/// What one procedure may read.
pub(super) struct Set {
    /// Code of the procedure.
    pub(super) code: &'static str,
    /// What it is for.
    pub(super) purpose: &'static str,
    /// The text that says what the procedure needs.
    pub(super) law: &'static str,
    /// The fields.
    pub(super) fields: &'static [F],
}

/// All sets, by code.
pub(super) const SETS: &[Set] = &[
    Set {
        code: "1.000656",
        purpose: "registering a death",
        law: "law 60/2014/QH13 article 34",
        fields: &[
            F::BirthName,
            F::PersonalId,
            F::BirthDate,
            F::Gender,
            F::Ethnicity,
            F::Nationalities,
            F::PermanentResidence,
            F::PhysicalStatus,
        ],
    },
    Set {
        code: "1.000894",
        purpose: "registering a marriage",
        law: "law 60/2014/QH13 article 18, decree 104/2022/ND-CP",
        fields: &[
            F::BirthName,
            F::PersonalId,
            F::BirthDate,
            F::Gender,
            F::Ethnicity,
            F::Nationalities,
            F::PermanentResidence,
            F::MaritalStatus,
            F::PhysicalStatus,
        ],
    },
    Set {
        code: "1.001193",
        purpose: "registering a birth: what is read of a parent",
        law: "law 60/2014/QH13 article 16, decree 104/2022/ND-CP",
        fields: &[
            F::BirthName,
            F::PersonalId,
            F::BirthDate,
            F::Ethnicity,
            F::Nationalities,
            F::PlaceOfOrigin,
            F::PermanentResidence,
            F::MaritalStatus,
        ],
    },
    Set {
        code: "1.001612",
        purpose: "registering a taxpayer or a household business",
        law: "circular 86/2024/TT-BTC",
        fields: &[
            F::BirthName,
            F::PersonalId,
            F::CancelledPersonalIds,
            F::BirthDate,
            F::Gender,
            F::OldIdNumbers,
            F::PermanentResidence,
            F::CurrentResidence,
            F::PhysicalStatus,
        ],
    },
    Set {
        code: "1.002755",
        purpose: "registering a temporary residence",
        law: "law 68/2020/QH14 article 28",
        fields: &[
            F::BirthName,
            F::PersonalId,
            F::BirthDate,
            F::Gender,
            F::PermanentResidence,
            F::TemporaryResidences,
            F::Absence,
        ],
    },
    Set {
        code: "1.002809",
        purpose: "exchanging a driving licence",
        law: "law 36/2024/QH15 article 62",
        fields: &[
            F::BirthName,
            F::PersonalId,
            F::BirthDate,
            F::Gender,
            F::Nationalities,
            F::PermanentResidence,
            F::Credentials,
        ],
    },
    Set {
        code: "1.004222",
        purpose: "registering a permanent residence and confirming a household",
        law: "law 68/2020/QH14 article 21",
        fields: &[
            F::BirthName,
            F::PersonalId,
            F::BirthDate,
            F::Gender,
            F::PermanentResidence,
            F::ResidenceFileNo,
            F::HouseholdRole,
            F::Relations,
        ],
    },
    Set {
        code: "1.012783",
        purpose: "registering land and the house on it",
        law: "law 31/2024/QH15 article 131, decree 101/2024/ND-CP",
        fields: &[
            F::BirthName,
            F::PersonalId,
            F::OldIdNumbers,
            F::BirthDate,
            F::PermanentResidence,
            F::MaritalStatus,
            F::PhysicalStatus,
        ],
    },
    Set {
        code: "2.001661",
        purpose: "joining social and health insurance",
        law: "law 41/2024/QH15 article 27",
        fields: &[
            F::BirthName,
            F::PersonalId,
            F::BirthDate,
            F::Gender,
            F::Ethnicity,
            F::Nationalities,
            F::BirthRegistrationPlace,
            F::PermanentResidence,
            F::PhoneNumbers,
            F::Credentials,
        ],
    },
    Set {
        code: "2.002341",
        purpose: "opening a bank account: knowing the customer",
        law: "law 14/2022/QH15 article 10, circular 17/2024/TT-NHNN",
        fields: &[
            F::BirthName,
            F::PersonalId,
            F::BirthDate,
            F::Gender,
            F::Nationalities,
            F::PermanentResidence,
            F::CurrentResidence,
            F::PhysicalStatus,
        ],
    },
];
