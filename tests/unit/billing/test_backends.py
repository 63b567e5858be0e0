"""Where a model may be served, decided without looking anything up."""

import pytest

from ias.billing.catalogue.domain import base_url


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://llama.inference:8000", "http://llama.inference:8000"),
        ("https://Engine.Example.ORG/", "https://engine.example.org"),
        ("http://llama-3-8b.inference.svc.cluster.local.:8000", "http://llama-3-8b.inference.svc.cluster.local:8000"),
        ("http://93.184.216.34:8000", "http://93.184.216.34:8000"),
        ("http://[2606:2800:220:1::1]:8000", "http://[2606:2800:220:1::1]:8000"),
    ],
)
def test_an_engine_may_be_reached_by_its_name_or_public_address(given: str, kept: str) -> None:
    assert base_url(given, private_allowed=False) == kept


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000",
        "http://[::1]:8000",
        "http://localhost:8000",
        "http://engine.localhost",
        "http://10.0.0.8:8000",
        "http://192.168.1.1",
        "http://169.254.169.254/",
        "http://[fe80::1]",
        "http://[::ffff:127.0.0.1]",
        "http://metadata.google.internal",
        "http://100.64.0.1",
    ],
)
def test_a_private_address_is_refused_unless_settings_allow_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"private|this machine"):
        base_url(url, private_allowed=False)
    assert base_url(url, private_allowed=True).startswith("http://")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file:///etc/passwd", "begin with"),
        ("ftp://engine:8000", "begin with"),
        ("llama:8000", "begin with"),
        ("", "begin with"),
        ("http://admin@engine:8000", "user name"),
        ("http://:secret@engine:8000", "user name"),
        ("http://engine:8000/v1", "without path"),
        ("http://engine:8000?x=1", "without path"),
        ("http://engine:8000/?", "without path"),
        ("http://engine:8000#top", "without path"),
        ("http://engine:0", "port 0"),
        ("http://engine:5432", "port 5432"),
        ("http://engine:6379", "port 6379"),
        ("http://engine:70000", "1 to 65535"),
        ("http://engine:port", "1 to 65535"),
        ("http://", "host name"),
        ("http://-engine:8000", "host name"),
        ("http://en..gine", "host name"),
        ("http://" + "a" * 254, "host name"),
        ("http://2130706433", "unusual spelling"),
        ("http://0x7f000001", "unusual spelling"),
        ("http://127.1", "unusual spelling"),
        ("http://0.0.0.0:8000", "reserved"),
        ("http://224.0.0.1", "reserved"),
        ("http://engine :8000", "printable"),
        ("http://engine\r\nHost: evil", "printable"),
        ("http://ëngine:8000", "printable"),
        ("http:\\\\engine", "printable"),
    ],
)
def test_what_is_not_an_engine_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        base_url(url, private_allowed=True)
