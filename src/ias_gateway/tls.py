"""TLS towards engines: what is trusted, read once."""

import ssl
from functools import cache


@cache
def client_context() -> ssl.SSLContext:
    """The process's one context: certificates and names are checked. To read what is trusted blocks for 20-odd ms.

    A changed store of certificates is read by the next process.
    """
    return ssl.create_default_context()
