"""Signatures of HashiCorp: detached OpenPGP signatures (RFC 9580), RSA with SHA-256."""

import hashlib
from dataclasses import dataclass

TWO_OCTETS = b"\xc2"
"""The first octet of a signature packet whose length is in the next two."""
BINARY_RSA_SHA256 = b"\x04\x00\x01\x08"
"""Version 4, of a binary document, with these algorithms."""
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
"""What stands before a SHA-256 digest that is signed with RSA (RFC 8017)."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key of RSA."""

    modulus: int
    exponent: int


HASHICORP = Key(
    int(
        "d6e9136b65518d5ef1d506a4a23966b19755ce884a221cfb79d008a3b76e725d"
        "b1bed241c8152a11fb583a2e1db42530828607d09061a3cd0bc4b86d474f0d3b"
        "621b2f2dcd2992334c7eeea026a168c7fa20739de6cfaf4ec576aecd443f4d9d"
        "bb183569501bbe1210cab75b373ad03a063cff72ca29fd49bb813d3e8af1f2bc"
        "9fe319d9cf119bfcb4db9213f528fa19ff43d860f126ef799ce8dc2f94e0a71a"
        "6c211210597c1aae9a462f6f01f6bae68c43e6329a233edccbea706f4962cea9"
        "56ec7f6d425af77417dd21c773811e79853142e7f5eb73027afe71d51ffc46b2"
        "411ab277c2417f1160a32ecb45000c9cbbd939196d8682c7e5d721c541f064ce"
        "989568021ad349254b019b297c29e3c274b18ac0e7dd9cec62bab7715eac53c6"
        "fe425217ed5023bab13ee5c6625656b18028f284aaa51a09a89e745e58e05a70"
        "280bfd4beec0c98ca794d32e688b5cb4fbbb1786a23132a02938b0caeaad4d63"
        "7af1f21a50c91fd4dabb1d791882c3c276057c0bcf17d58289de146783aec237"
        "1ac5fcacdcbc4d89922552c5cd2b04b79a188c44be1346c6ece24e1013e2c830"
        "eb1ab88bdcbe6f3f7ebc9dbd0fe45302215531fcd1718e1fdd3d6d8b49bd8ddf"
        "b9d2bb4a12309bb6454ddb812541b8ef713f167dd59214e6057ebe3e3382e741"
        "d1fc7c9bc1a442cdf0ebb8c7b74c0704fed48fe4250e6fd0bbf8ffa13f341c0f",
        16,
    ),
    65537,
)
"""HashiCorp's key for releases, 374EC75B485913604A831CC7C820C6D5CD27AB87: a subkey of the key
72D7468F that https://www.hashicorp.com/trust/security shows."""


def is_signed(document: bytes, signature: bytes, key: Key) -> bool:
    """Whether the signature is the key's, and of exactly this document. False for a signature of
    any other form than HashiCorp's."""
    packet = signature[3:]
    length = int.from_bytes(signature[1:3]) - 0xC000 + 192
    if signature[:1] != TWO_OCTETS or len(packet) != length:
        return False
    if not packet.startswith(BINARY_RSA_SHA256):
        return False
    signed = packet[: 6 + int.from_bytes(packet[4:6])]
    unsigned = packet[len(signed) :]
    number = int.from_bytes(unsigned[2 + int.from_bytes(unsigned[:2]) + 4 :])
    digest = hashlib.sha256(document + signed + b"\x04\xff" + len(signed).to_bytes(4)).digest()
    return pow(number, key.exponent, key.modulus) == int.from_bytes(padded(digest, key))


def padded(digest: bytes, key: Key) -> bytes:
    """A SHA-256 digest as RSA signs it, as long as the key's modulus (RFC 8017, 9.2)."""
    size = (key.modulus.bit_length() + 7) // 8
    end = b"\x00" + DIGEST_INFO + digest
    return b"\x00\x01" + b"\xff" * (size - len(end) - 2) + end
