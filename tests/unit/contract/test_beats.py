"""What gateways say of themselves, and what they are asked to try, through Redis."""

from ias.contract import beats, trials
from ias.contract.beats import FORGOTTEN_S, KEY, SILENT_S, STOPPED, Beat
from ias.contract.catalogue import ModelRoute
from ias.contract.keys import new_tag
from ias.contract.trials import Call, Replica, Told, Trial, Tried

ROUTE = ModelRoute(name="m", model_id="i", upstream_name="u", replicas=("http://a:1",))


def a_beat(**changes: object) -> Beat:
    said: dict[str, object] = {"name": "gw", "state": "serves", "release": "1", "library": "l"}
    return Beat(**(said | {"started_at": 1.0, "at": 1000.0} | changes))


def test_what_is_said_is_read_whether_a_client_gives_hashes_flat_or_as_maps() -> None:
    one, two = a_beat(name="b", spooled=3), a_beat(name="a")
    encoded = {beats.beat(said)[2]: beats.beat(said)[3] for said in (one, two)}
    assert beats.read_beats(encoded) == [two, one]
    assert beats.read_beats([part for pair in encoded.items() for part in pair]) == [two, one]


def test_what_another_release_says_is_left_out() -> None:
    assert beats.read_beats([b"x", b"{}", b"y", b"no json"]) == []


def test_a_gateway_lives_until_it_stops_or_falls_silent() -> None:
    assert a_beat().lives(1000.0 + SILENT_S - 1)
    assert not a_beat().lives(1000.0 + SILENT_S)
    assert not a_beat(state=STOPPED).lives(1000.0)
    assert a_beat(at=1010.0).silent_s(1000.0) == 0
    assert FORGOTTEN_S > SILENT_S


def test_no_organisation_has_the_tag_of_the_gateways() -> None:
    assert len(new_tag()) != len(beats.TAG)
    assert KEY.startswith(f"{{o:{beats.TAG}}}:")
    assert beats.forget(["a", "b"]) == ("HDEL", KEY, "a", "b")


def test_a_question_is_read_as_it_was_asked_and_one_that_cannot_be_is_none() -> None:
    trial = Trial("id", ROUTE)
    assert trials.read_trial(trials.ask(trial)[2]) == trial
    assert trials.read_trial(None) is None
    assert trials.read_trial(b"{}") is None


def test_an_answer_is_read_as_it_was_told() -> None:
    replica = Replica("http://a:1", Tried(200, 1.0), Tried(why="x"), {"u": 1}, Call("/v1", Tried(404)))
    told = Told("gw", [replica])
    assert trials.read_told(trials.tell("id", told)[2]) == told
    assert trials.read_told(None) is None
    assert (replica.health.well, replica.models.well, replica.call.tried.well) == (True, False, False)


def test_questions_expire_and_are_claimed_once() -> None:
    for command in (trials.ask(Trial("id", ROUTE)), trials.claim("id", "gw")):
        assert {"NX", "EX"} <= set(command)
    assert trials.claim("id", "gw")[1] != trials.listen("id")[1]
    assert trials.LOOK[1] == trials.ask(Trial("id", ROUTE))[1] == trials.withdraw()[1]
