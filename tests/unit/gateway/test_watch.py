"""What an engine's metrics say of its load."""

import pytest

from ias_gateway.watch import requests_under_way

VLLM = b"""# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 2.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="m",reason="capacity"} 2.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.5
"""


@pytest.mark.parametrize(
    ("exposition", "requests"),
    [
        (VLLM, 5),
        (VLLM.replace(b"\n", b"\r\n"), 5),
        (VLLM + VLLM.replace(b'engine="0"', b'engine="1"'), 10),
        (b"vllm:num_requests_waiting 1e2\n", 100),
        (b'vllm:num_requests_running{model_name="a} 9 } b"} 4.0\n', 4),
        (b"", 0),
        (b"<html>", 0),
        (b"vllm:num_requests_running{} NaN\n", 0),
        (b"vllm:num_requests_running{} 1e999\n", 0),
        (b"vllm:num_requests_running{} ..\n", 0),
    ],
)
def test_requests_that_run_or_wait_are_read_from_the_exposition(exposition: bytes, requests: int) -> None:
    assert requests_under_way(exposition) == requests
