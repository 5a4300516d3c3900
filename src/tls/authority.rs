//! The authorities that make certificates, kept as files in a folder of the operator, one for each circle:
//!
//! ```text
//! peers/authority.pem, authority.key     the authority; its key never leaves this folder
//! peers/revoked.pem                      what it took back, once it took something back
//! peers/node-NAME/                       what goes to the node NAME: its `peer_tls`
//! clients/...                            the same for clients:
//! clients/node-NAME/                     what goes to the node NAME: its `client_tls`
//! clients/agency-ID/, operator-NAME/     what goes to an agency, to an operator
//! ```

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use super::files::{self, AUTHORITY, CERTIFICATE, KEY, REVOKED, dns_name};
use super::{Circle, Holder};

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
    /// It has given this holder nothing.
    #[error("no certificate in {folder} is that of {holder}: nothing was taken back")]
    Unknown {
        /// Where certificates were looked for.
        folder: PathBuf,
        /// Whose.
        holder: Holder,
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

/// The authority of a circle.
pub struct Authority {
    circle: Circle,
    folder: PathBuf,
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one under `root`. Its certificate holds for so many days.
    ///
    /// # Errors
    /// When there is one, or the folder cannot be written.
    pub fn init(root: &Path, circle: Circle, days: u32) -> Result<Self> {
        let folder = &root.join(circle.name());
        let path = folder.join(AUTHORITY_KEY);
        if path.exists() || folder.join(AUTHORITY).exists() {
            return Err(AuthorityError::Exists(folder.join(AUTHORITY)));
        }
        fs::create_dir_all(folder).map_err(at(folder))?;
        let mut params = params(Vec::new(), &format!("dancu authority of {}", circle.name()), days)
            .map_err(unusable(&path))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(unusable(&path))?;
        let certificate = params.self_signed(&key).map_err(unusable(&path))?;
        // The key first: without it the other file would claim an authority that can make nothing.
        write(&path, &key.serialize_pem(), Secrecy::Private)?;
        write(&folder.join(AUTHORITY), &certificate.pem(), Secrecy::Public)?;
        Self::open(root, circle)
    }

    /// Reads the one under `root`.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub fn open(root: &Path, circle: Circle) -> Result<Self> {
        let folder = root.join(circle.name());
        let key = folder.join(AUTHORITY_KEY);
        let pair = KeyPair::from_pem(&read(&key)?).map_err(unusable(&key))?;
        let path = folder.join(AUTHORITY);
        let certificate = read(&path)?;
        let issuer = Issuer::from_ca_cert_pem(&certificate, pair).map_err(unusable(&path))?;
        Ok(Self { circle, folder, certificate, issuer })
    }

    /// Makes a certificate for a holder, with a new key, that holds for so many days. Returns the folder that the holder gets.
    /// `hosts` are the names and IP addresses by which clients reach a node. The certificate it had before stays good until it
    /// ends or is revoked.
    ///
    /// # Errors
    /// When the name cannot stand in a certificate, or the folder cannot be written.
    pub fn issue(&self, holder: &Holder, hosts: &[String], days: u32) -> Result<PathBuf> {
        self.issue_into(self.folder.join(holder.folder()), holder, hosts, days)
    }

    fn issue_into(&self, folder: PathBuf, holder: &Holder, hosts: &[String], days: u32) -> Result<PathBuf> {
        let path = folder.join(CERTIFICATE);
        let mut names = vec![SanType::URI(holder.urn().try_into().map_err(unusable(&path))?)];
        // A node accepts connections of its peers and makes them; it serves clients and is none.
        let usages = match (self.circle, holder) {
            (Circle::Peers, Holder::Node(name)) => {
                names.extend([san(&dns_name(Some(name)), &path)?, san(&dns_name(None), &path)?]);
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
            }
            (Circle::Clients, Holder::Node(_)) => {
                for host in hosts {
                    names.push(san(host, &path)?);
                }
                vec![ExtendedKeyUsagePurpose::ServerAuth]
            }
            _ => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let mut params = params(names, &holder.to_string(), days).map_err(unusable(&path))?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages;
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(unusable(&path))?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(unusable(&path))?;
        write(&folder.join(AUTHORITY), &self.certificate, Secrecy::Public)?;
        write(&folder.join(KEY), &key.serialize_pem(), Secrecy::Private)?;
        write(&path, &certificate.pem(), Secrecy::Public)?;
        self.hand_list_to(&folder)?;
        Ok(folder)
    }

    /// Makes new certificates, for so many days, in place of those that end within `within` days. Returns whose.
    ///
    /// # Errors
    /// When a certificate cannot be read, or a file not written.
    pub fn renew(&self, within: u32, days: u32) -> Result<Vec<Holder>> {
        let until = files::now() + (DAY * within).as_secs();
        let mut renewed = Vec::new();
        for folder in self.folders()? {
            let path = folder.join(CERTIFICATE);
            let der = CertificateDer::from_pem_slice(read(&path)?.as_bytes()).map_err(unusable(&path))?;
            let holder = Holder::of(&der).map_err(unusable(&path))?;
            if files::ends(&der).map_err(unusable(&path))? > until {
                continue;
            }
            let (_, parsed) = parse_x509_certificate(&der).map_err(unusable(&path))?;
            let names = parsed.subject_alternative_name().map_err(unusable(&path))?;
            let names = names.iter().flat_map(|names| &names.value.general_names);
            self.issue_into(folder, &holder, &names.filter_map(host).collect::<Vec<_>>(), days)?;
            renewed.push(holder);
        }
        Ok(renewed)
    }

    /// As [`Authority::issue`], unless there is a certificate already. For the same holder at other hosts there is another one:
    /// nodes on one machine come and go, with the same names at other addresses.
    ///
    /// # Errors
    /// As there.
    pub fn ensure(&self, holder: &Holder, hosts: &[String], days: u32) -> Result<PathBuf> {
        let name =
            std::iter::once(holder.folder()).chain(hosts.iter().cloned()).collect::<Vec<_>>().join("@");
        let folder = self.folder.join(name);
        if folder.join(CERTIFICATE).exists() {
            return Ok(folder);
        }
        self.issue_into(folder, holder, hosts, days)
    }

    /// Takes the certificates of a holder back that lie in folders here, and puts the new list into all of them.
    ///
    /// # Errors
    /// When there is none, or a file cannot be written.
    pub fn revoke(&self, holder: &Holder) -> Result<()> {
        // Two lists made at once would each lack what the other takes back.
        let lock = self.folder.join(AUTHORITY_KEY);
        let locked = fs::File::open(&lock).map_err(at(&lock))?;
        locked.lock().map_err(at(&lock))?;
        let now = now();
        let mut revoked = self.revoked()?;
        let mut found = false;
        for folder in self.folders()? {
            let path = folder.join(CERTIFICATE);
            let der = CertificateDer::from_pem_slice(read(&path)?.as_bytes()).map_err(unusable(&path))?;
            if !Holder::of(&der).is_ok_and(|of| of.folder() == holder.folder()) {
                continue;
            }
            found = true;
            let (_, parsed) = parse_x509_certificate(&der).map_err(unusable(&path))?;
            let serial_number = SerialNumber::from_slice(parsed.tbs_certificate.raw_serial());
            if revoked.iter().all(|one| one.serial_number != serial_number) {
                revoked.push(RevokedCertParams {
                    serial_number,
                    revocation_time: now.into(),
                    reason_code: None,
                    invalidity_date: None,
                });
            }
        }
        if !found {
            return Err(AuthorityError::Unknown { folder: self.folder.clone(), holder: holder.clone() });
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
        self.folders()?.iter().try_for_each(|folder| self.hand_list_to(folder))
    }

    /// The folders of all holders, in the order of their names.
    fn folders(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.folder).map_err(at(&self.folder))?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path()).map_err(at(&self.folder)));
        let mut folders = paths.collect::<Result<Vec<_>>>()?;
        folders.retain(|folder| folder.join(CERTIFICATE).exists());
        folders.sort();
        Ok(folders)
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

/// A host in a certificate: an IP address or a DNS name.
fn san(host: &str, path: &Path) -> Result<SanType> {
    match ServerName::try_from(host).map_err(|_| host) {
        Ok(ServerName::IpAddress(address)) => Ok(SanType::IpAddress(std::net::IpAddr::from(address))),
        Ok(ServerName::DnsName(name)) => {
            Ok(SanType::DnsName(name.as_ref().try_into().map_err(unusable(path))?))
        }
        _ => Err(unusable(path)(format!(
            "\"{host}\" cannot stand in a certificate as the name of a host: no part of it between dots may be empty, or begin \
             or end with '-'"
        ))),
    }
}

/// The host that a name in a certificate stands for.
fn host(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    }
}

fn params(
    names: Vec<SanType>,
    common_name: &str,
    days: u32,
) -> std::result::Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.subject_alt_names = names;
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
    let hint = ". `dancu certs init` makes the authorities, `dancu certs issue` the certificate of a holder";
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
