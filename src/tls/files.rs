//! The files of a folder, and the settings of rustls that they make.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, client::WebPkiServerVerifier};
use x509_parser::parse_x509_certificate;

use super::error::TlsError;
use super::{Holder, Loaded};

/// The authorities that are believed. Two of them while one takes the other's place.
pub(super) const AUTHORITY: &str = "authority.pem";
/// The certificate of the holder.
pub(super) const CERTIFICATE: &str = "holder.pem";
/// Its private key.
pub(super) const KEY: &str = "holder.key";
/// Revocation lists of the authorities; need not be there.
pub(super) const REVOKED: &str = "revoked.pem";
/// What the DNS name in a certificate of a peer ends with, and a name that they all have. By it the one that connects says
/// whom it expects; the names of machines play no part.
const DOMAIN: &str = "peers.dancu";

/// Both ends speak HTTP/2.
const ALPN: &[u8] = b"h2";

/// The name under which a node is known in its certificate; without one, that of any.
pub(super) fn dns_name(node: Option<&str>) -> String {
    node.map_or_else(|| DOMAIN.to_owned(), |node| format!("{node}.{DOMAIN}"))
}

/// What the files hold.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Content {
    authority: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
    revoked: Vec<u8>,
}

impl Content {
    pub fn read(folder: &Path) -> Result<Self, TlsError> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(|source| TlsError::Read { path, source })
        };
        let revoked = match read(REVOKED) {
            Err(TlsError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        Ok(Self { authority: read(AUTHORITY)?, certificate: read(CERTIFICATE)?, key: read(KEY)?, revoked })
    }

    /// `wanted` is who the certificate must name, if that is known.
    pub fn load(&self, folder: &Path, wanted: Option<&Holder>) -> Result<Loaded, TlsError> {
        let unusable = |file: &str, why: String| TlsError::Unusable { path: folder.join(file), why };
        let certificates = certificates(&self.certificate).map_err(|why| unusable(CERTIFICATE, why))?;
        let (holder, expires) = check(&certificates[0], &folder.join(CERTIFICATE), wanted)?;
        let key =
            PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| unusable(KEY, error.to_string()))?;

        let mut roots = RootCertStore::empty();
        for authority in self::certificates(&self.authority).map_err(|why| unusable(AUTHORITY, why))? {
            roots.add(authority).map_err(|error| unusable(AUTHORITY, error.to_string()))?;
        }
        let roots = Arc::new(roots);
        let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&self.revoked)
            .collect::<Result<_, _>>()
            .map_err(|error| unusable(REVOKED, error.to_string()))?;

        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        // A certificate of which no list says anything is good: a list is made when the first one is revoked.
        let of_clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .with_crls(lists.clone())
            .allow_unknown_revocation_status()
            .build()
            .map_err(|error| unusable(REVOKED, error.to_string()))?;
        let of_servers = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
            .with_crls(lists)
            .allow_unknown_revocation_status()
            .build()
            .map_err(|error| unusable(REVOKED, error.to_string()))?;

        let not_a_pair = |error: tokio_rustls::rustls::Error| unusable(KEY, error.to_string());
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(not_a_pair)?
            .with_client_cert_verifier(of_clients.clone())
            .with_single_cert(certificates.clone(), key.clone_key())
            .map_err(not_a_pair)?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(not_a_pair)?
            .with_webpki_verifier(of_servers)
            .with_client_auth_cert(certificates, key)
            .map_err(not_a_pair)?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Loaded { server: Arc::new(server), client: Arc::new(client), judge: of_clients, holder, expires })
    }
}

/// Whether the certificate is the one wanted and has not ended; whose it is, and when it ends.
fn check(
    certificate: &CertificateDer<'_>,
    path: &Path,
    wanted: Option<&Holder>,
) -> Result<(Holder, u64), TlsError> {
    let path = path.to_owned();
    let read = Holder::of(certificate).and_then(|holder| Ok((holder, ends(certificate)?)));
    let (found, ends) = match read {
        Ok(read) => read,
        Err(why) => return Err(TlsError::Unusable { path, why }),
    };
    if let Some(wanted) = wanted.filter(|wanted| **wanted != found) {
        return Err(TlsError::OtherHolder { path, found, wanted: wanted.clone() });
    }
    if ends <= now() {
        let ended = i64::try_from(ends).ok().and_then(|ends| jiff::Timestamp::from_second(ends).ok());
        let ended = ended.map_or_else(|| "a day long ago".to_owned(), |ended| ended.to_string());
        return Err(TlsError::Expired { path, ended, holder: found });
    }
    Ok((found, ends))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("it holds no certificate (PEM)".to_owned());
    }
    Ok(certificates)
}

/// When a certificate ends, in seconds since 1970-01-01T00:00:00Z.
pub(super) fn ends(certificate: &CertificateDer<'_>) -> Result<u64, String> {
    let (_, parsed) = parse_x509_certificate(certificate).map_err(|error| error.to_string())?;
    Ok(u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default())
}

#[expect(
    clippy::disallowed_methods,
    reason = "certificates end by the wall clock; nothing of it is replicated"
)]
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
