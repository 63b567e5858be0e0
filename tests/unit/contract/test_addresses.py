"""Where no engine may be, however the address is written."""

from ipaddress import ip_address

import pytest

from ias.contract.addresses import allows, networks, unwrapped, why_not


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.0.9", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("169.254.0.1", "link-local"),
        ("169.254.169.254", "link-local"),
        ("::ffff:169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("192.0.0.192", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("::ffff:100.100.100.200", "metadata"),
        ("0.0.0.0", "reserved"),
        ("0.1.2.3", "reserved"),
        ("::", "reserved"),
        ("::127.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
    ],
)
def test_no_engine_is_there_unless_the_deployment_lists_its_network(address: str, what: str) -> None:
    found = ip_address(address)
    assert what in (why_not(found, ()) or "")
    assert what in (why_not(found, networks("10.0.0.0/8")) or "")
    assert why_not(found, networks("0.0.0.0/0, ::/0")) is None


@pytest.mark.parametrize("address", ["10.0.0.8", "192.168.1.1", "fd12::1", "8.8.8.8", "2606:4700::1111", "100.64.0.1"])
def test_an_engine_may_be_in_a_private_network(address: str) -> None:
    assert why_not(ip_address(address), ()) is None


def test_a_network_that_is_listed_lets_its_addresses_through_however_they_are_wrapped() -> None:
    allowed = networks("127.0.0.0/8")
    assert allows(allowed, ip_address("::ffff:127.0.0.1"))
    assert not allows(allowed, ip_address("::1"))
    assert not allows((), ip_address("10.0.0.1"))


def test_what_wraps_nothing_stands_for_itself() -> None:
    for text in ("10.0.0.1", "2606:4700::1111"):
        assert unwrapped(ip_address(text)) == ip_address(text)


def test_networks_are_a_list_with_commas() -> None:
    assert [str(network) for network in networks(" 10.0.0.0/8, ::1 ,")] == ["10.0.0.0/8", "::1/128"]
    assert networks("") == ()


@pytest.mark.parametrize("text", ["10.0.0.0/33", "localhost", "10.0.0.1/8"])
def test_what_is_no_network_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        networks(text)
