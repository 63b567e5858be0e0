"""What a request's head must say; the parser before it lets all of this through."""

import pytest

from ias_gateway.errors import ApiError
from ias_gateway.head import Bounds, hosts, too_slow

BOUNDS = Bounds(1000, forms={b"/form": 2000})
GOOD = {b"host": b"api.example:8080", b"content-type": b"application/json", b"content-length": b"10"}


def fault_of(path: bytes, more: dict[bytes, bytes]) -> ApiError | None:
    return BOUNDS.fault_of(b"POST", path, GOOD | more)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {b"host": b"localhost"},
        {b"host": b"10.0.0.1:80"},
        {b"host": b"[::1]:8080"},
        {b"content-type": b"Application/JSON; charset=utf-8"},
        {b"content-encoding": b"identity"},
        {b"content-length": b"1000"},
        {b"transfer-encoding": b"Chunked"},
    ],
)
def test_a_good_head_has_no_fault(more: dict[bytes, bytes]) -> None:
    assert fault_of(b"/v1/models", more) is None


def test_a_form_may_be_longer_than_another_body() -> None:
    form = {b"content-type": b"multipart/form-data; boundary=x", b"content-length": b"2000"}
    assert fault_of(b"/form", form) is None


def test_a_head_needs_no_more_than_a_host() -> None:
    assert BOUNDS.fault_of(b"GET", b"/", {b"host": b"a"}) is None


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        (b"http://a/v1/models", {}, 400),
        (b"*", {}, 400),
        (b"a:80", {}, 400),
        (b"/", {b"host": b""}, 400),
        (b"/", {b"host": b"a/?x#"}, 400),
        (b"/", {b"host": b"user@a"}, 400),
        (b"/", {b"host": b"a b"}, 400),
        (b"/", {b"host": b"a:123456"}, 400),
        (b"/", {b"host": b"a\n"}, 400),
        (b"/", {b"content-encoding": b"gzip"}, 415),
        (b"/", {b"content-type": b"text/plain"}, 415),
        (b"/", {b"content-type": b"application/jsonp"}, 415),
        (b"/", {b"transfer-encoding": b"gzip, chunked"}, 400),
        (b"/form", {}, 415),
        (b"/form", {b"content-type": b"multipart/form-datax"}, 415),
        (b"/", {b"content-type": b"multipart/form-data; boundary=x"}, 415),
        (b"/", {b"content-length": b"1001"}, 413),
        (b"/form", {b"content-type": b"multipart/form-data; boundary=x", b"content-length": b"2001"}, 413),
        (b"/", {b"content-length": b"9" * 30}, 413),
    ],
)
def test_a_fault_is_told_by_its_status(path: bytes, more: dict[bytes, bytes], status: int) -> None:
    fault = fault_of(path, more)
    assert fault is not None
    assert fault.status == status
    assert fault.detail.message.endswith(".")


def test_a_head_without_host_is_refused() -> None:
    assert BOUNDS.fault_of(b"GET", b"/", {}) is not None


def test_a_form_is_taken_where_one_is_expected() -> None:
    assert fault_of(b"/form", {b"content-type": b"Multipart/Form-Data; boundary=x"}) is None
    assert BOUNDS.fault_of(b"GET", b"/form", {b"host": b"a"}) is None


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"PROPFIND", b"QUERY"])
def test_a_method_that_no_api_has_is_refused_and_says_which_are_taken(method: bytes) -> None:
    fault = BOUNDS.fault_of(method, b"/", GOOD)
    assert fault is not None
    assert (fault.status, fault.headers) == (405, (("allow", "GET, POST"),))


def test_only_the_configured_hosts_are_served() -> None:
    bounds = Bounds(1000, hosts=hosts("api.example, Other.Example:8443,[::1]"))
    served = (b"api.example", b"API.example:80", b"other.example:8443", b"[::1]:9", b"api.example")
    for host in served:
        assert bounds.host_fault(host) is None
        assert bounds.fault_of(b"GET", b"/", {b"host": host}) is None
    for host in (b"other.example", b"other.example:80", b"evil.example", b"api.example.evil.example", b"localhost"):
        for _ in range(2):
            fault = bounds.fault_of(b"GET", b"/", {b"host": host})
            assert fault is not None
            assert fault.status == 421
            assert "base URL" in fault.detail.message


def test_hosts_without_end_are_not_remembered_without_end() -> None:
    bounds = Bounds(1000)
    for number in range(5000):
        assert bounds.host_fault(b"h%d" % number) is None
    assert len(bounds._served) <= 1024


@pytest.mark.parametrize("text", ["https://a", "a/b", "a:port", "*.example", "ä"])
def test_what_is_no_host_is_named_at_start(text: str) -> None:
    with pytest.raises(ValueError, match="no host name"):
        hosts(f"ok.example,{text}")


@pytest.mark.parametrize(
    ("took", "length", "slow"), [(4.9, 0, False), (5.1, 5000, True), (5.1, 6000, False), (29, 29_000, True)]
)
def test_a_body_is_slow_by_its_mean_after_a_while(took: float, length: int, slow: bool) -> None:
    assert too_slow(took, length) is slow
