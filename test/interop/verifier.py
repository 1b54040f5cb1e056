"""A second verifier of signed objects, written from docs/wire-format.md and nothing else.

It decodes with python3-cbor2 and verifies with python3-cryptography, both of Debian. Reads one JSON
document from standard input, {"objects": [{"id", "kind", "bytes", "keysets": [{"threshold", "keys"}]}],
"page": path of docs/wire-format.md}, bytes and keys in hex; answers with one on standard output:
{"objects": [{"id", "ok", "why", "digest", "kids"}], "page": {name: hex}}.
"""

import hashlib
import io
import json
import re
import sys

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

ALG, KID, TYP = 1, 4, 16
SIGN, SIGN1 = 98, 18
MANY = ("charter", "snapshot", "policy", "grant")
MOST = {"charter": 16, "snapshot": 8, "policy": 8, "grant": 8}
LABELS = {
    "charter": "portcullis-charter",
    "snapshot": "portcullis-snapshot",
    "policy": "portcullis-policy",
    "grant": "portcullis-element",
    "link": "portcullis-element",
}


class Refused(Exception):
    """The object is not one, or is not signed as it must be."""


def require(holds, why):
    if not holds:
        raise Refused(why)


def head(major, value):
    """A shortest head, RFC 8949 section 3."""
    for size, code in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if value < 24:
            return bytes([major << 5 | value])
        if value < 1 << 8 * size:
            return bytes([major << 5 | code]) + value.to_bytes(size, "big")
    raise Refused("an integer of more than 8 bytes")


def encode(value):
    """Deterministic CBOR as the page narrows it: what it cannot say is refused."""
    if value is None:
        return b"\xf6"
    if value is False or value is True:
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        require(-(2**53) <= value < 2**53, "an integer out of bounds")
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(encode(item) for item in value)
    if isinstance(value, dict):
        items = sorted((encode(key), encode(item)) for key, item in value.items())
        return head(5, len(items)) + b"".join(key + item for key, item in items)
    raise Refused(f"a {type(value).__name__} has no place in an object")


def decode(data):
    """One value and nothing after it, in its one encoding: no key twice, nothing unsorted."""
    stream = io.BytesIO(data)
    try:
        value = cbor2.CBORDecoder(stream).decode()
    except Exception as error:
        raise Refused("no CBOR") from error
    require(stream.tell() == len(data), "something trails")
    if not isinstance(value, cbor2.CBORTag):
        require(encode(value) == data, "not deterministic")
    return value


def sha256(data):
    return hashlib.sha256(data).digest()


def parse_key(data):
    """The kid, the one algorithm, and the means to verify."""
    key = decode(data)
    kind = (key.get(1), key.get(-1))
    if kind == (1, 6):
        public = ed25519.Ed25519PublicKey.from_public_bytes(key[-2])
        return sha256(data), -19, lambda signature, message: public.verify(signature, message)
    curve, hash_, alg, width = {
        (2, 1): (ec.SECP256R1(), hashes.SHA256(), -9, 32),
        (2, 2): (ec.SECP384R1(), hashes.SHA384(), -51, 48),
    }[kind]
    public = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + key[-2] + key[-3])

    def verify(signature, message):
        require(len(signature) == 2 * width, "a signature of another width")
        r, s = (int.from_bytes(half, "big") for half in (signature[:width], signature[width:]))
        public.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hash_))

    return sha256(data), alg, verify


def parse_message(kind, data):
    """Body, payload, and [protected header, alg, kid, signature] of each signer."""
    message = decode(data)
    tag = SIGN if kind in MANY else SIGN1
    require(isinstance(message, cbor2.CBORTag) and message.tag == tag, "another tag")
    parts = message.value
    require(isinstance(parts, list) and len(parts) == 4, "not four members")
    require(data == head(6, tag) + encode(parts), "not deterministic")
    body, unprotected, payload, last = parts
    require(isinstance(body, bytes) and isinstance(payload, bytes), "no byte strings")
    require(unprotected == {}, "something unprotected")
    header = decode(body)
    require(header.get(TYP) == f"portcullis-{kind}+cwt", "another typ")
    if tag == SIGN1:
        require(set(header) == {ALG, KID, TYP}, "another header")
        return body, payload, [(None, header[ALG], header[KID], last)]
    require(set(header) == {TYP}, "another header")
    require(isinstance(last, list) and 1 <= len(last) <= MOST[kind], "no signatures, or too many")
    signers = []
    for row in last:
        require(isinstance(row, list) and len(row) == 3 and row[1] == {}, "a malformed signer")
        own = decode(row[0])
        require(set(own) == {ALG, KID}, "another header of a signer")
        signers.append((row[0], own[ALG], own[KID], row[2]))
    kids = [kid for _, _, kid, _ in signers]
    require(all(a < b for a, b in zip(kids, kids[1:])), "signers unsorted, or one twice")
    return body, payload, signers


def verify(kind, data, keysets):
    """Every signature by a listed key; then distinct keys are counted, for each keyset."""
    body, payload, signers = parse_message(kind, data)
    decode(payload)
    sets = [(one["threshold"], [parse_key(bytes.fromhex(key)) for key in one["keys"]]) for one in keysets]
    listed = {kid: (alg, check) for _, keys in sets for kid, alg, check in keys}
    for header, alg, kid, signature in signers:
        require(kid in listed, "a key that is not listed")
        own, check = listed[kid]
        require(alg == own, "another algorithm than the key's")
        if header is None:
            signed = encode(["Signature1", body, b"", payload])
        else:
            signed = encode(["Signature", body, header, b"", payload])
        try:
            check(signature, signed)
        except InvalidSignature as error:
            raise Refused("a signature that does not verify") from error
    for threshold, keys in sets:
        count = len({kid for _, _, kid, _ in signers} & {kid for kid, _, _ in keys})
        require(threshold >= 1 and count >= threshold, "fewer signatures than the threshold")
    label = LABELS.get(kind)
    digest = None if label is None else sha256(encode([label, body, payload])).hex()
    return digest, [kid.hex() for _, _, kid, _ in signers]


def answer(item):
    try:
        digest, kids = verify(item["kind"], bytes.fromhex(item["bytes"]), item["keysets"])
    except Refused as error:
        return {"id": item["id"], "ok": False, "why": str(error)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return {"id": item["id"], "ok": False, "why": f"malformed: {error}"}
    return {"id": item["id"], "ok": True, "digest": digest, "kids": kids}


def worked(path):
    """The page's digests, computed from the page's objects alone; its link and proof verified."""
    with open(path, encoding="utf-8") as file:
        found = re.findall(r"^```hex ([a-z-]+)\n(.*?)^```$", file.read(), re.M | re.S)
    page = {name: bytes.fromhex(re.sub(r"#.*|\s", "", text)) for name, text in found}
    over = lambda label, item: sha256(head(4, 2) + encode(label) + item)
    key = [{"threshold": 1, "keys": [page["key"].hex()]}]
    link, _ = verify("link", page["link"], key)
    verify("proof", page["proof"], key)
    request = sha256(page["request"])
    element = [LABELS["grant"], page["grant-body"], page["grant-payload"]]
    return {
        "kid": sha256(page["key"]).hex(),
        "job-digest": over("portcullis-job", page["job"]).hex(),
        "element-digest": sha256(encode(element)).hex(),
        "link-digest": link,
        "request-digest": request.hex(),
        "qualifying-data": sha256(b"\0" + request).hex(),
        "status-digest": sha256(page["status-list"]).hex(),
    }


asked = json.load(sys.stdin)
json.dump(
    {"objects": [answer(item) for item in asked["objects"]], "page": worked(asked["page"])},
    sys.stdout,
)
