//! An authority that makes the certificates of peers, kept as files in a folder of the operator:
//!
//! ```text
//! authority.pem, authority.key   the authority; its key never leaves this folder
//! revoked.pem                    what it took back, once it took something back
//! NAME/                          what goes to the node NAME: its `peer_tls`
//! ```

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::parse_x509_certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use super::files::{AUTHORITY, CERTIFICATE, KEY, REVOKED, dns_name};

const AUTHORITY_KEY: &str = "authority.key";
/// Certificates hold from a little before they are made: clocks of nodes differ.
const BEFORE: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// A revocation list holds until the next one takes its place; nobody refuses an old one.
const LIST_HOLDS: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Why an authority could not do something.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// There is one already.
    #[error("{0} is there already: an authority is made once. To make another one, name another folder")]
    Exists(PathBuf),
    /// A file cannot be read or written.
    #[error("cannot use {path}: {source}{hint}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// A file does not hold what it should.
    #[error("{path} cannot be used: {why}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

type Result<T> = std::result::Result<T, AuthorityError>;

/// The authority of a folder.
pub struct Authority {
    folder: PathBuf,
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one. Its certificate holds for so many days.
    ///
    /// # Errors
    /// When there is one, or the folder cannot be written.
    pub fn init(folder: &Path, days: u32) -> Result<Self> {
        let path = folder.join(AUTHORITY_KEY);
        if path.exists() || folder.join(AUTHORITY).exists() {
            return Err(AuthorityError::Exists(folder.join(AUTHORITY)));
        }
        fs::create_dir_all(folder).map_err(at(folder))?;
        let mut params = params(&[], "dancu authority of peers", days).map_err(unusable(&path))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(unusable(&path))?;
        let certificate = params.self_signed(&key).map_err(unusable(&path))?;
        // The key first: without it the other file would claim an authority that can make nothing.
        write(&path, &key.serialize_pem(), Secrecy::Private)?;
        write(&folder.join(AUTHORITY), &certificate.pem(), Secrecy::Public)?;
        Self::open(folder)
    }

    /// Reads the one of a folder.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub fn open(folder: &Path) -> Result<Self> {
        let key = folder.join(AUTHORITY_KEY);
        let pair = KeyPair::from_pem(&read(&key)?).map_err(unusable(&key))?;
        let path = folder.join(AUTHORITY);
        let certificate = read(&path)?;
        let issuer = Issuer::from_ca_cert_pem(&certificate, pair).map_err(unusable(&path))?;
        Ok(Self { folder: folder.to_owned(), certificate, issuer })
    }

    /// Makes a certificate for a node, with a new key, that holds for so many days. Returns the folder that the node gets. The
    /// one it had before stays good until it ends or is revoked.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn issue(&self, node: &str, days: u32) -> Result<PathBuf> {
        let folder = self.folder.join(node);
        let path = folder.join(CERTIFICATE);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let mut params =
            params(&[dns_name(Some(node)), dns_name(None)], node, days).map_err(unusable(&path))?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // A node accepts connections and makes them.
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(unusable(&path))?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(unusable(&path))?;
        write(&folder.join(AUTHORITY), &self.certificate, Secrecy::Public)?;
        write(&folder.join(KEY), &key.serialize_pem(), Secrecy::Private)?;
        write(&path, &certificate.pem(), Secrecy::Public)?;
        self.hand_list_to(&folder)?;
        Ok(folder)
    }

    /// Takes the certificate of a node back that lies in its folder here, and puts the new list into all of them.
    ///
    /// # Errors
    /// When there is no such certificate, or a file cannot be written.
    pub fn revoke(&self, node: &str) -> Result<()> {
        let path = self.folder.join(node).join(CERTIFICATE);
        let der = CertificateDer::from_pem_slice(read(&path)?.as_bytes()).map_err(unusable(&path))?;
        let (_, parsed) = parse_x509_certificate(&der).map_err(unusable(&path))?;
        let now = now();
        let mut revoked = self.revoked()?;
        let serial_number = SerialNumber::from_slice(parsed.tbs_certificate.raw_serial());
        if revoked.iter().all(|one| one.serial_number != serial_number) {
            revoked.push(RevokedCertParams {
                serial_number,
                revocation_time: now.into(),
                reason_code: None,
                invalidity_date: None,
            });
        }
        let list = CertificateRevocationListParams {
            this_update: now.into(),
            next_update: (now + LIST_HOLDS).into(),
            crl_number: SerialNumber::from(now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()),
            issuing_distribution_point: None,
            revoked_certs: revoked,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let path = self.folder.join(REVOKED);
        let list = list.signed_by(&self.issuer).and_then(|list| list.pem()).map_err(unusable(&path))?;
        write(&path, &list, Secrecy::Public)?;
        for entry in fs::read_dir(&self.folder).map_err(at(&self.folder))? {
            let folder = entry.map_err(at(&self.folder))?.path();
            if folder.join(CERTIFICATE).exists() {
                self.hand_list_to(&folder)?;
            }
        }
        Ok(())
    }

    /// What was taken back so far.
    fn revoked(&self) -> Result<Vec<RevokedCertParams>> {
        let path = self.folder.join(REVOKED);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let der = CertificateRevocationListDer::from_pem_slice(read(&path)?.as_bytes());
        let der = der.map_err(unusable(&path))?;
        let (_, list) = CertificateRevocationList::from_der(&der).map_err(unusable(&path))?;
        let kept = |one: &x509_parser::revocation_list::RevokedCertificate<'_>| RevokedCertParams {
            serial_number: SerialNumber::from_slice(one.raw_serial()),
            revocation_time: one.revocation_date.to_datetime(),
            reason_code: None,
            invalidity_date: None,
        };
        Ok(list.iter_revoked_certificates().map(kept).collect())
    }

    fn hand_list_to(&self, folder: &Path) -> Result<()> {
        let path = self.folder.join(REVOKED);
        if path.exists() { write(&folder.join(REVOKED), &read(&path)?, Secrecy::Public) } else { Ok(()) }
    }
}

fn params(
    names: &[String],
    common_name: &str,
    days: u32,
) -> std::result::Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    let now = now();
    params.not_before = (now - BEFORE).into();
    params.not_after = (now + DAY * days).into();
    Ok(params)
}

#[expect(
    clippy::disallowed_methods,
    reason = "certificates hold by the wall clock; nothing of it is replicated"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

#[derive(Clone, Copy)]
enum Secrecy {
    Public,
    Private,
}

/// Writes a file as a whole or not at all; a private one is its owner's alone from the first byte on.
fn write(path: &Path, text: &str, secrecy: Secrecy) -> Result<()> {
    let written = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        // Such files are made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        if let Secrecy::Public = secrecy {
            file.as_file().set_permissions(Permissions::from_mode(0o644))?;
        }
        file.persist(path).map_err(|error| error.error)
    };
    written().map(drop).map_err(at(path))
}

fn read(path: &Path) -> Result<String> {
    let hint = ". `dancu certs init` makes an authority, `dancu certs issue` the certificate of a node";
    fs::read_to_string(path).map_err(|source| AuthorityError::File { path: path.to_owned(), source, hint })
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> AuthorityError {
    let path = path.to_owned();
    move |source| AuthorityError::File { path, source, hint: "" }
}

fn unusable<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> AuthorityError {
    let path = path.to_owned();
    move |error| AuthorityError::Unusable { path, why: error.to_string() }
}
