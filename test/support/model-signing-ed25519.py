"""OpenSSF model signing's own library, with an Ed25519 key put where its method `key` takes elliptic curves only.

model-signing-ed25519.py sign FOLDER PRIVATE_KEY
model-signing-ed25519.py verify FOLDER PUBLIC_KEY

All but the signature itself is the library's: the statement, the envelope, the bundle, the comparison of the files.
"""

import pathlib
import sys

from cryptography.hazmat.primitives import serialization
import model_signing
from model_signing._signing import sign_ec_key


class Ed25519Key:
    """What the library asks of a key, without the hash that it chooses by the curve."""

    def __init__(self, key):
        self._key = key

    def public_key(self):
        return self._key.public_key()

    def public_bytes(self, **options):
        return self._key.public_bytes(**options)

    def sign(self, data, _algorithm):
        return self._key.sign(data)

    def verify(self, signature, data, _algorithm):
        self._key.verify(signature, data)


sign_ec_key._check_supported_ec_key = lambda _key: None
sign_ec_key.get_ec_key_hash = lambda _key: sign_ec_key.hashes.SHA256()

act, folder, key_file = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
signature_file = folder / "model.sig"

if act == "sign":
    config = model_signing.signing.Config().use_elliptic_key_signer(private_key=key_file)
    config._signer._private_key = Ed25519Key(config._signer._private_key)
    config.set_hashing_config(model_signing.hashing.Config().set_ignored_paths(paths=["model.sig"]))
    config.sign(folder, signature_file)
else:
    config = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=key_file)
    config._verifier._public_key = Ed25519Key(config._verifier._public_key)
    config.verify(folder, signature_file)
print("ok")
