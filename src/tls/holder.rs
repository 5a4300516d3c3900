//! Whom a certificate names, and the two circles of holders that have an authority each.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// What the name of a holder begins with. It stands in the certificate as a URI:
/// `urn:dancu:node:central-1`, `urn:dancu:agency:G12.45`, `urn:dancu:operator:admin:hoa`.
const URN: &str = "urn:dancu:";
/// The longest id of an agency (QD 20/2020/QD-TTg), and the longest name of an operator.
const MAX_NAME: usize = 35;

/// Who speaks to whom: each circle has an authority and a listener of its own, so that nobody gets from one into the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circle {
    /// Nodes among themselves.
    Peers,
    /// Agencies and operators, and the nodes as their servers.
    Clients,
}

impl Circle {
    /// Its name in folders and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Peers => "peers",
            Self::Clients => "clients",
        }
    }

    /// Whether this holder may connect to a listener of the circle.
    pub(super) fn admits(self, holder: &Holder) -> bool {
        matches!((self, holder), (Self::Peers, Holder::Node(_)))
            || matches!((self, holder), (Self::Clients, Holder::Agency(_) | Holder::Operator { .. }))
    }
}

/// What an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Look at the cluster.
    Observe,
    /// Change it, too.
    Administer,
    /// See who asked about whom; nothing of the cluster.
    Audit,
}

impl Right {
    fn word(self) -> &'static str {
        match self {
            Self::Observe => "observer",
            Self::Administer => "admin",
            Self::Audit => "auditor",
        }
    }
}

/// Whom a certificate names. In the extensions of each call that came over such a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// The node of this name.
    Node(Arc<str>),
    /// Services of the agency with this id.
    Agency(Arc<str>),
    /// Somebody who runs the cluster, and reads no records.
    Operator {
        /// Who.
        name: Arc<str>,
        /// What they may do.
        right: Right,
    },
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => write!(f, "node {name}"),
            Self::Agency(id) => write!(f, "agency {id}"),
            Self::Operator { name, right } => write!(f, "operator {name} ({})", right.word()),
        }
    }
}

impl Holder {
    /// The node of this name.
    pub fn node(name: &str) -> Self {
        Self::Node(name.into())
    }

    /// The agency with this id.
    pub fn agency(id: &str) -> Self {
        Self::Agency(id.into())
    }

    /// The operator of this name.
    pub fn operator(name: &str, right: Right) -> Self {
        Self::Operator { name: name.into(), right }
    }

    /// Whether it can stand in a certificate and be the name of a folder: 1 to 35 of A-Z, a-z, 0-9, '.', '-' and '_', the
    /// first one a letter or digit; 63 for a node.
    pub fn is_well_named(&self) -> bool {
        let (name, longest) = match self {
            Self::Node(name) => (name, 63),
            Self::Agency(name) | Self::Operator { name, .. } => (name, MAX_NAME),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric();
        let bytes = name.as_bytes();
        (1..=longest).contains(&bytes.len())
            && plain(bytes[0])
            && bytes.iter().all(|byte| plain(*byte) || matches!(byte, b'.' | b'-' | b'_'))
    }

    /// The folder of its files, under that of its authority.
    pub(super) fn folder(&self) -> String {
        match self {
            Self::Node(name) => format!("node-{name}"),
            Self::Agency(id) => format!("agency-{id}"),
            Self::Operator { name, .. } => format!("operator-{name}"),
        }
    }

    /// Its name in a certificate.
    pub(super) fn urn(&self) -> String {
        match self {
            Self::Node(name) => format!("{URN}node:{name}"),
            Self::Agency(id) => format!("{URN}agency:{id}"),
            Self::Operator { name, right } => format!("{URN}operator:{}:{name}", right.word()),
        }
    }

    fn from_urn(urn: &str) -> Option<Self> {
        let (kind, name) = urn.strip_prefix(URN)?.split_once(':')?;
        let holder = match kind {
            "node" => Self::node(name),
            "agency" => Self::agency(name),
            "operator" => {
                let (word, name) = name.split_once(':')?;
                let right = [Right::Observe, Right::Administer, Right::Audit]
                    .into_iter()
                    .find(|right| right.word() == word)?;
                Self::operator(name, right)
            }
            _ => return None,
        };
        holder.is_well_named().then_some(holder)
    }

    /// Whom a certificate names; why nobody, when it does not name exactly one holder.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, parsed) = parse_x509_certificate(certificate).map_err(|error| error.to_string())?;
        let names = parsed.subject_alternative_name().map_err(|error| error.to_string())?;
        let named = |name: &GeneralName<'_>| match name {
            GeneralName::URI(uri) => Self::from_urn(uri),
            _ => None,
        };
        let holders: Vec<_> =
            names.iter().flat_map(|names| &names.value.general_names).filter_map(named).collect();
        match &holders[..] {
            [holder] => Ok(holder.clone()),
            [] => Err(format!("it names no holder ({URN}...)")),
            _ => Err("it names several holders".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_read_back_from_its_name() {
        let holders = [
            Holder::node("central-1"),
            Holder::agency("000.00.00.G12"),
            Holder::operator("hoa", Right::Observe),
            Holder::operator("hoa", Right::Administer),
            Holder::operator("hoa", Right::Audit),
        ];
        for holder in holders {
            assert_eq!(Holder::from_urn(&holder.urn()), Some(holder.clone()), "{holder}");
        }
        for bad in
            ["urn:dancu:node:", "urn:dancu:king:x", "urn:dancu:operator:hoa", "urn:other:node:a", "node", ""]
        {
            assert_eq!(Holder::from_urn(bad), None, "{bad}");
        }
        for bad in ["", "../x", ".", "-a", "a b", "a/b", "a:b", "ộ", &"x".repeat(36)] {
            assert!(!Holder::agency(bad).is_well_named(), "{bad}");
        }
    }

    #[test]
    fn nobody_gets_into_the_other_circle() {
        let (node, agency) = (Holder::node("a"), Holder::agency("a"));
        let operator = Holder::operator("a", Right::Administer);
        let admitted = |circle: Circle| [&node, &agency, &operator].map(|holder| circle.admits(holder));
        assert_eq!(admitted(Circle::Peers), [true, false, false]);
        assert_eq!(admitted(Circle::Clients), [false, true, true]);
    }
}
