//! Certificates for nodes on this machine and for those who ask them: what `dancu certs` does for a real cluster.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::client::Certificates;
use crate::tls::authority::{Authority, AuthorityError};
use crate::tls::{Circle, Holder, Right, TlsError};

/// How long the certificates hold.
const DAYS: u32 = 365;
/// They are renewed when they end sooner than this.
const RENEW_WITHIN: u32 = 60;
/// The names of the operators.
const OPERATOR: &str = "local";
const AUDITOR: &str = "auditor";

/// Both authorities, and what an agency, an operator and an auditor got from them.
pub struct Issuer {
    /// Of peers and of clients. One certificate at a time: it consists of several files.
    authorities: Mutex<[Authority; 2]>,
    /// Folder of the agency's certificate.
    pub agency_folder: PathBuf,
    /// Folder of the operator's.
    pub operator_folder: PathBuf,
    /// Folder of the auditor's.
    pub auditor_folder: PathBuf,
    /// All three, to be shown.
    pub certificates: Certificates,
}

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// They cannot be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// What was made cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Issuer {
    /// That of a folder: what was made there before is used again, what ends soon renewed.
    ///
    /// # Errors
    /// When a file there cannot be used, or the folder not be written.
    pub fn of(root: &Path, agency: &str) -> Result<Self, IssuerError> {
        let authority = |circle: Circle| match Authority::open(root, circle) {
            Ok(authority) => authority.renew(RENEW_WITHIN, DAYS).map(|_| authority),
            Err(_) if !root.join(circle.name()).exists() => Authority::init(root, circle, 10 * DAYS),
            Err(error) => Err(error),
        };
        let (peers, clients) = (authority(Circle::Peers)?, authority(Circle::Clients)?);
        let issue = |holder: &Holder| clients.ensure(holder, &[], DAYS);
        let agency_folder = issue(&Holder::agency(agency))?;
        let operator_folder = issue(&Holder::operator(OPERATOR, Right::Administer))?;
        let auditor_folder = issue(&Holder::operator(AUDITOR, Right::Audit))?;
        let certificates = Certificates {
            agency: Some(Certificates::load(&agency_folder)?),
            operator: Some(Certificates::load(&operator_folder)?),
            auditor: Some(Certificates::load(&auditor_folder)?),
        };
        Ok(Self {
            authorities: Mutex::new([peers, clients]),
            agency_folder,
            operator_folder,
            auditor_folder,
            certificates,
        })
    }

    /// The folder of a further agency's certificate.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn agency(&self, id: &str) -> Result<PathBuf, IssuerError> {
        let authorities = self.authorities.lock().expect("nothing panics while it holds this lock");
        let [_, clients] = &*authorities;
        Ok(clients.ensure(&Holder::agency(id), &[], DAYS)?)
    }

    /// The folders of a node that clients reach at this address: its `client_tls`, its `peer_tls`.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn node(&self, name: &str, address: IpAddr) -> Result<(PathBuf, PathBuf), IssuerError> {
        let node = Holder::node(name);
        let authorities = self.authorities.lock().expect("nothing panics while it holds this lock");
        let [peers, clients] = &*authorities;
        Ok((clients.ensure(&node, &[address.to_string()], DAYS)?, peers.ensure(&node, &[], DAYS)?))
    }
}
