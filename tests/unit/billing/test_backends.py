"""Where a model may be served, decided without looking anything up."""

import pytest

from ias.billing.catalogue.domain import base_url
from ias.contract.addresses import networks

OURS = networks("127.0.0.0/8, ::1, 10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 192.168.0.0/16, fe80::/10")


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
    assert base_url(given, allowed=()) == kept


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
def test_an_address_that_is_not_public_is_refused_unless_settings_list_its_network(url: str) -> None:
    with pytest.raises(ValueError, match=r"address.*IAS_UPSTREAM_ALLOW|this machine.*IAS_UPSTREAM_ALLOW"):
        base_url(url, allowed=())
    with pytest.raises(ValueError, match="IAS_UPSTREAM_ALLOW"):
        base_url(url, allowed=networks("172.16.0.0/12"))
    assert base_url(url, allowed=OURS).startswith("http://")


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://127.0.0.2", "loopback"),
        ("http://169.254.169.254", "link-local"),
        ("http://100.100.100.200", "metadata"),
        ("http://[fd00:ec2::254]", "metadata"),
        ("http://[64:ff9b::a9fe:a9fe]", "link-local"),
        ("http://10.1.2.3", "private"),
        ("http://224.0.0.1", "multicast"),
    ],
)
def test_the_refusal_says_what_the_address_is(url: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        base_url(url, allowed=())


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
        ("http://224.0.0.1", "multicast"),
        ("http://engine :8000", "printable"),
        ("http://engine\r\nHost: evil", "printable"),
        ("http://ëngine:8000", "printable"),
        ("http:\\\\engine", "printable"),
    ],
)
def test_what_is_not_an_engine_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        base_url(url, allowed=OURS)
