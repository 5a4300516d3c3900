//! Compiles `proto/` with protox, so that no system protoc is needed, and keeps the descriptors for reflection.

use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message;

/// Messages whose `Debug` would print a citizen's data, or a secret: theirs is written by hand in `src/proto.rs`.
const PERSONAL: &[&str] = &[
    ".dancu.registry.v1.Person",
    ".dancu.registry.v1.PersonName",
    ".dancu.registry.v1.PartialDate",
    ".dancu.registry.v1.Address",
    ".dancu.registry.v1.PersonKey",
    ".dancu.registry.v1.Claim",
    ".dancu.registry.v1.KeyResolution",
    ".dancu.registry.v1.RelatedPerson",
    ".dancu.registry.v1.Extension",
    ".dancu.registry.v1.EidAccountState",
    ".dancu.registry.v1.Provenance",
    ".dancu.registry.v1.Credential",
    ".dancu.registry.v1.CredentialKey",
    ".dancu.registry.v1.Written",
    ".dancu.registry.v1.Move",
    ".dancu.registry.v1.Correction",
    ".dancu.registry.v1.CancelPersonalId",
    ".dancu.registry.v1.ChangeEid",
    ".dancu.registry.v1.LockEidRequest",
    ".dancu.registry.v1.FindPersonsRequest",
    ".dancu.registry.v1.FindPersonsResponse",
    ".dancu.registry.v1.CheckUinStructureRequest",
    ".dancu.registry.v1.CheckUinStructureResponse",
    ".dancu.registry.v1.VerifyIdentifierLinkRequest",
    ".dancu.registry.v1.ResolveIdentifierRequest",
    ".dancu.registry.v1.ResolveIdentifierResponse",
    ".dancu.registry.v1.VerifyCredentialResponse",
    ".dancu.registry.v1.Receipt",
    ".dancu.registry.v1.VerifyReceiptRequest",
    ".dancu.store.v1.ReceiptKeyFile",
    ".dancu.registry.v1.HouseholdMember",
    ".dancu.registry.v1.ReadHouseholdResponse",
    ".dancu.store.v1.DataKey",
    ".dancu.store.v1.KeptKey",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new("proto");
    println!("cargo:rerun-if-changed=proto");
    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();

    let descriptors = protox::compile(&files, [root])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("dancu.descriptors.bin"), descriptors.encode_to_vec())?;

    let mut config = tonic_prost_build::Config::new();
    config.bytes(["."]).skip_debug(PERSONAL.iter().copied());
    tonic_prost_build::configure().compile_fds_with_config(descriptors, config)?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
