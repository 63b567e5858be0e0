"""The gateway's main requests and refusals once more, on a Redis Cluster of three shards."""

from collections.abc import Iterator

import pytest

from tests.integration.gateway.place import Place, place_of
from tests.integration.gateway.test_limits import (
    test_every_limit_is_told_for_organisation_and_user,
    test_without_a_good_key_nothing_is_told,
)
from tests.integration.gateway.test_requests import (
    test_a_client_that_leaves_stops_the_engine_and_pays_what_was_written,
    test_a_rate_is_a_429_that_openais_client_waits_for,
    test_a_revoked_keys_open_stream_is_cut_and_settled,
    test_a_spent_budget_is_a_429_that_is_not_retried,
    test_a_stream_is_the_engines_less_the_usage_that_was_not_asked_for,
    test_a_suspended_organisation_is_a_403,
    test_a_whole_answer_is_the_engines_and_is_settled,
    test_an_unknown_model_is_a_404_that_names_those_that_may_be_used,
    test_an_unknown_or_revoked_key_is_a_401,
    test_near_the_end_of_a_budget_the_answer_is_shorter_and_the_budget_holds,
)
from tests.services import Services
from tests.services.cluster import Cluster

__all__ = [
    "test_a_client_that_leaves_stops_the_engine_and_pays_what_was_written",
    "test_a_rate_is_a_429_that_openais_client_waits_for",
    "test_a_revoked_keys_open_stream_is_cut_and_settled",
    "test_a_spent_budget_is_a_429_that_is_not_retried",
    "test_a_stream_is_the_engines_less_the_usage_that_was_not_asked_for",
    "test_a_suspended_organisation_is_a_403",
    "test_a_whole_answer_is_the_engines_and_is_settled",
    "test_an_unknown_model_is_a_404_that_names_those_that_may_be_used",
    "test_an_unknown_or_revoked_key_is_a_401",
    "test_every_limit_is_told_for_organisation_and_user",
    "test_near_the_end_of_a_budget_the_answer_is_shorter_and_the_budget_holds",
    "test_without_a_good_key_nothing_is_told",
]


@pytest.fixture(scope="module")
def shared(services: Services, shards: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place_of(services, tmp_path_factory.mktemp("cluster"), shards) as place:
        yield place
