"""Checks a receipt of dancu with a JOSE library that knows nothing of dancu: joserfc.

    python tests/python/receipt.py RECEIPT JWKS     (files: "JWS~DISCLOSURE~..~", and what a node shows at
                                                     /.well-known/jwks.json)

What the library does is all of the cryptography; what is left to whoever relies on a receipt is here: that the key is of the
node and the time that the receipt states, and that each disclosure has its hash in it (RFC 9901).
"""

import base64
import hashlib
import json
import pathlib
import sys
import warnings

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

TYPE = "dancu-receipt+sd-jwt"

# RFC 9864 has a newer name for EdDSA with this curve, "Ed25519", which most libraries do not know yet.
warnings.filterwarnings("ignore", message="EdDSA is deprecated")


def hashes(content: dict) -> list[str]:
    """The hashes of all disclosures that were made with a receipt."""
    return content["_sd"] + [digest for verdict in content["verdicts"] for digest in verdict["_sd"]]


def check(receipt: str, keys: dict) -> tuple[dict, list]:
    """What a receipt says, and the disclosures beside it as [salt, name, value]; fails when it is not genuine."""
    token, *disclosures = receipt.strip().rstrip("~").split("~")
    signed = jws.deserialize_compact(token, KeySet.import_key_set(keys), algorithms=["EdDSA"])
    header, content = signed.headers(), json.loads(signed.payload)
    assert header["typ"] == TYPE, header
    key = next(key for key in keys["keys"] if key["kid"] == header["kid"])
    assert content["cluster_id"] == keys["cluster_id"], "another cluster's"
    assert content["node_id"] == key["node_id"], "signed in another node's name"
    assert key["since_ms"] <= content["time_ms"] < key.get("until_ms", float("inf")), "outside of the key's time"
    closed = hashes(content)
    for disclosure in disclosures:
        digest = base64.urlsafe_b64encode(hashlib.sha256(disclosure.encode()).digest()).rstrip(b"=").decode()
        assert digest in closed, "a disclosure of another receipt"
    opened = [json.loads(base64.urlsafe_b64decode(d + "=" * (-len(d) % 4))) for d in disclosures]
    return content, opened


def refused(receipt: str, keys: dict) -> bool:
    """Whether the library finds that something is wrong."""
    try:
        check(receipt, keys)
    except (JoseError, ValueError):
        return True
    return False


def edited(receipt: str) -> str:
    """The same receipt with one letter of what it says changed."""
    place = receipt.index(".") + 20
    return receipt[:place] + ("B" if receipt[place] == "A" else "A") + receipt[place + 1 :]


def main(receipt_file: str, keys_file: str) -> None:
    receipt = pathlib.Path(receipt_file).read_text(encoding="utf-8")
    keys = json.loads(pathlib.Path(keys_file).read_text(encoding="utf-8"))
    content, opened = check(receipt, keys)
    assert refused(edited(receipt), keys), "an edited receipt was taken"
    verdicts = ", ".join(f"{told['attribute']} {told['verdict']}" for told in content["verdicts"])
    audit = content["audit"]
    print(
        f"joserfc: signed by node {content['node_id']} for {content['agency']}: {verdicts}; revision {content['revision']}, "
        f"record {audit['node_id']}/{audit['position']}; {len(opened)} disclosures have their hashes in it"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
