//! Every method of the API with every kind of certificate: walked by the descriptors that the node itself serves, so that
//! a method nobody thought of is found here.

use bytes::{Buf as _, BufMut as _, Bytes};
use dancu::client::Certificates;
use dancu::proto::DESCRIPTORS;
use dancu::proto::registry::verify_stream_response::Result as Part;
use dancu::proto::registry::{ErrorReason, RequestContext, VerifyStreamResponse};
use dancu::tls::authority::Authority;
use dancu::tls::{Circle, Holder, Right};
use futures::stream;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::{DescriptorProto, FileDescriptorSet};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

use crate::harness::{AGENCY, Cluster};

/// Messages as they are.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// A method, and the message that it takes.
pub struct Method {
    path: String,
    pub name: String,
    /// Numbers of the fields that lead to the context, if its message has one.
    context: Option<Vec<u32>>,
}

/// All methods of the client API.
pub fn methods() -> Vec<Method> {
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let message = |full: &str| -> Option<&DescriptorProto> {
        set.file.iter().find_map(|file| {
            let name = full.strip_prefix(&format!(".{}.", file.package()))?;
            file.message_type.iter().find(|message| message.name() == name)
        })
    };
    let field = |of: &DescriptorProto, name: &str| {
        of.field
            .iter()
            .find(|field| field.name() == name)
            .map(|field| (u32::try_from(field.number()).unwrap(), field.type_name().to_owned()))
    };
    let mut methods = Vec::new();
    for file in &set.file {
        for service in file.service.iter().filter(|service| service.name() != "Peer") {
            for method in &service.method {
                let input = message(method.input_type()).unwrap();
                let direct = field(input, "context").map(|(number, _)| vec![number]);
                let nested = || {
                    let (outer, inner) = field(input, "request")?;
                    Some(vec![outer, field(message(&inner)?, "context")?.0])
                };
                methods.push(Method {
                    path: format!("/{}.{}/{}", file.package(), service.name(), method.name()),
                    name: format!("{}/{}", service.name(), method.name()),
                    context: direct.or_else(nested),
                });
            }
        }
    }
    let common =
        [("grpc.health.v1", "Health/Check"), ("grpc.reflection.v1", "ServerReflection/ServerReflectionInfo")];
    methods.extend(common.map(|(package, name)| Method {
        path: format!("/{package}.{name}"),
        name: name.to_owned(),
        context: None,
    }));
    methods
}

/// The reason why a call with this message is refused; empty when it is not, or for another reason than this API's.
pub async fn reason(channel: &Channel, method: &Method, message: Bytes) -> String {
    match call(channel, method, message).await {
        Err(status) => status.get_details_error_info().map(|info| info.reason).unwrap_or_default(),
        // A stream of verifications says in its answers what a call says by its status.
        Ok(Some(part)) if method.name == "Verification/VerifyStream" => {
            match VerifyStreamResponse::decode(part).unwrap().result {
                Some(Part::Error(error)) => {
                    error.reason().as_str_name().trim_start_matches("ERROR_REASON_").to_owned()
                }
                _ => String::new(),
            }
        }
        Ok(_) => String::new(),
    }
}

/// The first message of the answer to a call.
pub async fn call(channel: &Channel, method: &Method, message: Bytes) -> Result<Option<Bytes>, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let request = Request::new(stream::iter([message]));
    let mut answers = client.streaming(request, method.path.parse().unwrap(), Raw).await?.into_inner();
    answers.message().await
}

/// A message with nothing but a context.
fn with_context(path: &[u32], context: &RequestContext) -> Bytes {
    let mut message = context.encode_to_vec();
    for number in path.iter().rev() {
        let mut outer = Vec::new();
        encode_key(*number, WireType::LengthDelimited, &mut outer);
        encode_varint(message.len() as u64, &mut outer);
        outer.extend(message);
        message = outer;
    }
    message.into()
}

/// Who may call a method: agencies, observers, administrators, auditors. Written down a second time, by rule instead of by method.
pub fn expected(method: &str) -> [bool; 4] {
    let (service, name) = method.split_once('/').unwrap();
    match (service, name) {
        ("ClusterAdmin", "Status" | "Digest") => [false, true, true, false],
        ("ClusterAdmin", _) => [false, false, true, false],
        ("Health" | "ServerReflection" | "AdminUnits", _) | (_, "CheckUinStructure" | "VerifyReceipt") => {
            [true; 4]
        }
        ("Audit", _) => [false, false, false, true],
        ("Policy", "Explain") => [true; 4],
        ("Policy", "ReadPolicies") => [false, true, true, false],
        ("Policy", _) => [false, false, true, false],
        _ => [true, false, false, false],
    }
}

fn channels(cluster: &Cluster) -> [Channel; 4] {
    let address = cluster.fleet.nodes[0].client_address();
    let clients = Authority::open(cluster.certified.root(), Circle::Clients).unwrap();
    let holders = [
        Holder::agency(AGENCY),
        Holder::operator("observer", Right::Observe),
        Holder::operator("administrator", Right::Administer),
        Holder::operator("auditor", Right::Audit),
    ];
    holders.map(|holder| {
        let tls = Certificates::load(&clients.ensure(&holder, &[], 10).unwrap()).unwrap();
        dancu::client::channel(&address, Some(&tls)).unwrap()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_roles_every_method_is_for_those_it_is_for() {
    let cluster = Cluster::waiting(1, |_| {});
    let channels = channels(&cluster);
    let methods = methods();
    println!("{:45} {:>8} {:>8} {:>8} {:>8}", "method", "agency", "observer", "admin", "auditor");
    let mut wrong = Vec::new();
    for method in &methods {
        let mut may = [false; 4];
        for (may, channel) in may.iter_mut().zip(&channels) {
            *may = reason(channel, method, Bytes::new()).await != "METHOD_NOT_PERMITTED";
        }
        let [agency, observer, admin, auditor] = may.map(|may| if may { "yes" } else { "-" });
        println!("{:45} {agency:>8} {observer:>8} {admin:>8} {auditor:>8}", method.name);
        if may != expected(&method.name) {
            wrong.push(&method.name);
        }
    }
    assert!(wrong.is_empty(), "not as expected: {wrong:?}");
    assert!(methods.len() > 40, "only {} methods", methods.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_roles_nobody_asks_in_another_agencys_name() {
    let cluster = Cluster::waiting(1, |_| {});
    let [agency, ..] = channels(&cluster);
    let mismatch = ErrorReason::AgencyMismatch.as_str_name().trim_start_matches("ERROR_REASON_");
    let mut asked = 0;
    let mut wrong = Vec::new();
    for method in methods() {
        let Some(path) = method.context.as_ref().filter(|_| expected(&method.name)[0]) else { continue };
        let context = |agency: &str| RequestContext {
            request_id: "r".to_owned(),
            agency_id: agency.to_owned(),
            ..RequestContext::default()
        };
        let (other, own) = (context("another"), context(AGENCY));
        let other = reason(&agency, &method, with_context(path, &other)).await;
        let own = reason(&agency, &method, with_context(path, &own)).await;
        if (other.as_str(), own.as_str() == mismatch) != (mismatch, false) {
            wrong.push(format!("{}: {other:?}, in its own name {own:?}", method.name));
        }
        asked += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("{asked} methods refuse it");
    assert!(asked > 30, "only {asked} methods have a context");
}
