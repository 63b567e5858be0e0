"""Where Redis is: one URL for one server, sentinels or a cluster."""

import pytest

from ias.contract.redis_url import FORMS, Kind, checked_redis_url, read_redis_url


def test_one_server() -> None:
    read = read_redis_url("redis://user:p%40ss@h:7000/3")
    assert (read.kind, read.nodes, read.tls) == (Kind.ALONE, (("h", 7000),), False)
    assert (read.user, read.password, read.database) == ("user", "p@ss", 3)


def test_ports_databases_and_logins_may_be_left_out() -> None:
    read = read_redis_url("redis://h")
    assert (read.nodes, read.user, read.password, read.database) == ((("h", 6379),), "", "", 0)
    assert read_redis_url("redis://:secret@h/").password == "secret"
    assert read_redis_url("redis://h?db=2").database == 2


def test_a_master_that_sentinels_name() -> None:
    read = read_redis_url("redis+sentinel://u:p@s1:1,s2,s3:3/the%20one?db=4&sentinel_user=x&sentinel_password=y%2Fz")
    assert (read.kind, read.master, read.database) == (Kind.SENTINEL, "the one", 4)
    assert read.nodes == (("s1", 1), ("s2", 26379), ("s3", 3))
    assert (read.sentinel_user, read.sentinel_password) == ("x", "y/z")


def test_a_cluster_by_tls_with_addresses_of_both_families() -> None:
    read = read_redis_url("rediss+cluster://:p@[::1]:7001,10.0.0.2:7002,[fe80::2]")
    assert (read.kind, read.tls, read.password) == (Kind.CLUSTER, True, "p")
    assert read.nodes == (("::1", 7001), ("10.0.0.2", 7002), ("fe80::2", 6379))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("127.0.0.1:6379", "no scheme"),
        ("", "no scheme"),
        ("http://h", "scheme is unknown"),
        ("redis+clusters://h", "scheme is unknown"),
        ("redis://", "host is missing"),
        ("redis:///0", "host is missing"),
        ("redis+cluster://h1,,h2", "host is missing"),
        ("redis+cluster://::1:7001", "not in brackets"),
        ("redis://h:port", "port is a number"),
        ("redis://h:0", "port is a number"),
        ("redis://h:65536", "port is a number"),
        ("redis://h/one", "database is a number"),
        ("redis://h1,h2", "several servers"),
        ("redis+sentinel://h1,h2", "name of the master"),
        ("redis+sentinel://h1/", "name of the master"),
        ("redis+cluster://h1/2", "database 0 only"),
        ("redis+cluster://h1?db=1", "database 0 only"),
        ("redis://h?protocol=3", "no option protocol"),
        ("redis+cluster://h?sentinel_password=x", "no option sentinel_password"),
    ],
)
def test_what_is_refused_is_told_with_what_is_allowed(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        checked_redis_url(url)
    assert str(refused.value).endswith(FORMS)


def test_a_refusal_shows_no_password() -> None:
    with pytest.raises(ValueError, match="port") as refused:
        checked_redis_url("redis://user:hidden@h:x")
    assert "hidden" not in str(refused.value)


def test_a_url_that_is_good_stays_as_it_is() -> None:
    assert checked_redis_url("redis+cluster://h:1") == "redis+cluster://h:1"
