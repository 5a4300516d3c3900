"""Creates, reads and verifies a person at a running dancu, with nothing but the address of a node and a certificate.

The messages and services are built from gRPC reflection: no generated file, no .proto and no code of the project is
needed. Run it against `dancu dev` as tests/python/run does:

    python tests/python/client.py 127.0.0.1:7004 dancu-dev/certs/clients/agency-dancu-dev
"""

import json
import pathlib
import sys
import urllib.request
import uuid

import grpc
import receipt as receipts
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2  # registers the error details, so that they can be unpacked
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

V1 = "dancu.registry.v1"


class Registry:
    """A node's services, as reflection describes them."""

    def __init__(self, address: str, certificate: pathlib.Path) -> None:
        authority, key, holder = (
            (certificate / name).read_bytes() for name in ("authority.pem", "holder.key", "holder.pem")
        )
        self.channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(authority, key, holder))
        grpc.channel_ready_future(self.channel).result(timeout=10)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = DescriptorPool(self.database)

    def services(self) -> list[str]:
        return sorted(self.database.get_services())

    def message(self, name: str, **fields):
        return GetMessageClass(self.pool.FindMessageTypeByName(f"{V1}.{name}"))(**fields)

    def call(self, service: str, method: str, request, timeout: float = 10):
        described = self.pool.FindServiceByName(f"{V1}.{service}").FindMethodByName(method)
        call = self.channel.unary_unary(
            f"/{V1}.{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(described.output_type).FromString,
        )
        return call(request, timeout=timeout)


def reason(error: grpc.RpcError) -> str:
    """The machine-readable reason of a refused call."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    return ""


def show_receipt(registry: Registry, subject: dict, http: str) -> None:
    """Has an answer signed, and checks the receipt with another library and the keys that another node shows."""
    request = registry.message("VerifyRequest", subject=subject, receipt=True)
    signed = registry.call("Verification", "Verify", request).receipt
    with urllib.request.urlopen(f"http://{http}/.well-known/jwks.json", timeout=10) as answer:
        assert answer.headers["content-type"] == "application/jwk-set+json", answer.headers
        keys = json.load(answer)
    whole = "~".join([signed.jws, *signed.disclosures]) + "~"
    content, opened = receipts.check(whole, keys)
    assert [told["verdict"] for told in content["verdicts"]] == ["match", "match", "no_match"], content
    number = subject["key"]["personal_id"]
    assert number not in json.dumps(content), "a number stands in the receipt"
    assert opened[0][1:] == ["subject", {"personal_id": number}], opened
    assert receipts.check(signed.jws, keys) == (content, []), "what is signed does not need what is opened"
    assert receipts.refused(receipts.edited(whole), keys), "an edited receipt was taken"
    print(f"receipt: node {content['node_id']}, record {content['audit']['position']} of its audit log; joserfc says it is genuine")


def main(
    address: str = "127.0.0.1:7001",
    folder: str = "dancu-dev/certs/clients/agency-dancu-dev",
    http: str = "127.0.0.1:7201",
) -> None:
    certificate = pathlib.Path(folder)
    # Whoever asks in another agency's name than its certificate's is refused.
    agency = certificate.name.removeprefix("agency-")
    registry = Registry(address, certificate)
    services = registry.services()
    print("services:", ", ".join(services))
    assert f"{V1}.PopulationRegistry" in services, services
    assert f"{V1}.Verification" in services, services

    # The request id is the key under which the write is applied at most once: keep it for retries.
    number = f"{uuid.uuid4().int % 1_000_000:06d}"
    personal_id = "001190" + number  # Ha Noi, female born in the 1900s, 1990
    context = {"request_id": uuid.uuid4().hex, "agency_id": agency, "purpose": "an example"}
    person = {
        "birth_name": {"family": "Nguyễn", "middle": "Thị", "given": "Thúy"},
        "personal_id": personal_id,
        "birth_date": {"year": 1990, "month": 5, "day": 17},
        "gender": "GENDER_FEMALE",
        "permanent_residence": {"unit_code": "01", "unit_edition": "UNIT_EDITION_V34"},
    }
    create = registry.message("CreatePersonRequest", context=context, create={"person": person})
    written = registry.call("PopulationRegistry", "CreatePerson", create)
    print(f"created: uid {written.written.person_uid} at revision {written.meta.revision} by {written.meta.served_by}")

    again = registry.call("PopulationRegistry", "CreatePerson", create)
    assert again.written == written.written, "a retry with the same request id must get the first reply"
    print("retried: the same reply, nothing written twice")

    key = {"personal_id": personal_id}
    read = registry.call("PopulationRegistry", "ReadPerson", registry.message("ReadPersonRequest", key=key))
    assert read.person.birth_name.given == "Thúy", read
    assert read.meta.revision >= written.meta.revision, "a linearizable read sees every acknowledged write"
    print(f"read: revision {read.meta.revision}, at most {read.meta.staleness_bound_ms} ms old")

    claims = [
        {"attribute": "ATTRIBUTE_FULL_NAME", "text": "Nguyễn Thị Thúy"},
        {"attribute": "ATTRIBUTE_BIRTH_DATE", "date": {"year": 1990}},
        {"attribute": "ATTRIBUTE_GIVEN_NAME", "text": "Thùy"},
    ]
    subject = {"key": key, "claims": claims}
    verified = registry.call("Verification", "Verify", registry.message("VerifyRequest", subject=subject))
    names = registry.pool.FindEnumTypeByName(f"{V1}.Verdict").values_by_number
    verdicts = [names[verdict.verdict].name for verdict in verified.verdicts]
    print("verified:", ", ".join(f"{c['attribute']} {v}" for c, v in zip(claims, verdicts)))
    assert verdicts == ["VERDICT_MATCH", "VERDICT_MATCH", "VERDICT_NO_MATCH"], verdicts
    assert not verified.all_match

    show_receipt(registry, subject, http)

    other = {"request_id": uuid.uuid4().hex, "agency_id": agency}
    person["birth_name"]["given"] = "Thùy"
    try:
        taken = registry.message("CreatePersonRequest", context=other, create={"person": person})
        registry.call("PopulationRegistry", "CreatePerson", taken)
        raise AssertionError("two people got one personal id")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.ALREADY_EXISTS, error
        print("refused:", error.code().name, reason(error))
        assert reason(error) == "IDENTIFIER_TAKEN", reason(error)


if __name__ == "__main__":
    main(*sys.argv[1:])
