import pickle

import jwt
import msgspec
from ruamel.yaml import YAML


def read(data, key):
    # ruleid: code-out-of-data
    pickle.loads(data)
    # ruleid: code-out-of-data
    eval(data)
    # ruleid: code-out-of-data
    YAML(typ="unsafe").load(data)
    # ok: code-out-of-data
    msgspec.json.decode(data)
    # ok: code-out-of-data
    YAML(typ="safe").load(data)
    # ruleid: token-not-checked
    jwt.decode(data, key)
    # ruleid: token-not-checked
    jwt.decode(data, key, algorithms=["HS256"], options={"verify_exp": False})
    # ok: token-not-checked
    jwt.decode(data, key, ["HS256"])
    # ok: token-not-checked
    return jwt.decode(data, key, algorithms=["HS256"])
