"""What a request's head must say; the parser before it lets all of this through."""

import pytest

from ias_gateway.head import fault_of

GOOD = {b"host": b"api.example:8080", b"content-type": b"application/json", b"content-length": b"10"}


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
    ],
)
def test_a_good_head_has_no_fault(more: dict[bytes, bytes]) -> None:
    assert fault_of(b"/v1/models?x=1", GOOD | more, 1000) is None


def test_a_head_needs_no_more_than_a_host() -> None:
    assert fault_of(b"/", {b"host": b"a"}, 1000) is None


@pytest.mark.parametrize(
    ("url", "more", "status"),
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
        (b"/", {b"content-length": b"1001"}, 413),
        (b"/", {b"content-length": b"9" * 30}, 413),
    ],
)
def test_a_fault_is_told_by_its_status(url: bytes, more: dict[bytes, bytes], status: int) -> None:
    fault = fault_of(url, GOOD | more, 1000)
    assert fault is not None
    assert fault.status == status
    assert fault.detail.message.endswith(".")


def test_a_head_without_host_is_refused() -> None:
    assert fault_of(b"/", {}, 1000) is not None
