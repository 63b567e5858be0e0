"""Keys that are told of in one call are what they would be one by one."""

from ias.contract import key_records, keys
from ias.contract.admission import Admitted, BadKey
from ias.contract.key_records import KeyRow
from ias.edge import KeyRecord
from tests.integration.contract.ground import KEY, USER, Org


def row(fingerprint: str, state: str = "active", expires_at: str = "") -> KeyRow:
    return (fingerprint, state, KEY, USER, expires_at)


async def grants(org: Org, version: int, *rows: KeyRow) -> object:
    return await org.edge.call(key_records.grants(org.tag, version, rows))


async def admitted(org: Org, fingerprint: str) -> bool:
    org.record = KeyRecord(fingerprint, KEY, USER)
    answer = await org.reserve()
    assert isinstance(answer, Admitted | BadKey), answer
    return isinstance(answer, Admitted)


async def test_keys_of_one_call_are_let_in_and_revoked_and_expired_ones_turned_away(org: Org) -> None:
    good, revoked, expired, later = (keys.fingerprint(keys.mint(org.tag)) for _ in range(4))

    put = await grants(
        org, 5, row(good), row(revoked, "revoked"), row(expired, expires_at="1"), row(later, "active", "9999999999")
    )

    assert put == 4
    assert [await admitted(org, key) for key in (good, revoked, expired, later)] == [True, False, False, True]


async def test_what_is_newer_stays_whichever_way_it_came(org: Org) -> None:
    one, two = (keys.fingerprint(keys.mint(org.tag)) for _ in range(2))
    await grants(org, 5, row(one, "revoked"), row(two))
    await org.edge.revoke(org.tag, KeyRecord(two, KEY, USER), 7)

    assert await grants(org, 6, row(one), row(two)) == 1
    assert await grants(org, 6, row(one, "revoked")) == 0

    assert [await admitted(org, one), await admitted(org, two)] == [True, False]
    await org.edge.grant(org.tag, KeyRecord(two, KEY, USER), 8)
    assert await admitted(org, two)


async def test_nothing_of_an_older_record_is_left_in_a_newer_one(org: Org) -> None:
    key = keys.fingerprint(keys.mint(org.tag))
    await grants(org, 1, row(key, "active", "1"))

    await grants(org, 2, row(key))

    record = await org.edge.redis.hgetall(f"{{o:{org.tag}}}:k:{key}")
    assert record == {b"v": b"2", b"st": b"active", b"kid": KEY.encode(), b"uid": USER.encode(), b"exp": b""}


async def test_as_many_keys_as_a_call_takes_go_in(org: Org) -> None:
    many = [keys.fingerprint(f"{number}") for number in range(key_records.MOST)]

    assert await grants(org, 1, *map(row, many)) == len(many)

    assert await admitted(org, many[-1])
