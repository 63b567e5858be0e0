"""How each model serves: as its callers see it, as gateways see its replicas, and as its engines tell."""

from deploy.observability.panels.shape import WINDOW, Board, Panel, Row, Variable, least, quantile, rate, worst

_OURS = '{model=~"$model"}'
_TOOK = f"gen_ai_server_request_duration_seconds{_OURS}"
_FIRST = f"gen_ai_server_time_to_first_token_seconds{_OURS}"
_TOKEN = f"gen_ai_server_time_per_output_token_seconds{_OURS}"
_COUNT = f"gen_ai_server_request_duration_seconds_count{_OURS}"
_SUM = f"gen_ai_server_request_duration_seconds_sum{_OURS}"
_BROKEN = rate('ias_gateway_outcomes_total{outcome=~"upstream_.*"}')
_ENDED = rate("ias_gateway_outcomes_total")

_CALLERS = Row(
    "As callers see it",
    (
        Panel("Requests", "Admitted requests in a second.", "reqps", {"{{model}}": rate(_COUNT, "model")}),
        Panel(
            "Average duration",
            "From head to last byte.",
            "s",
            {"{{model}}": f"{rate(_SUM, 'model')} / ({rate(_COUNT, 'model')} > 0)"},
        ),
        Panel(
            "Duration",
            "From head to last byte.",
            "s",
            {f"{{{{model}}}} P{int(share * 100)}": quantile(share, _TOOK, "model") for share in (0.5, 0.95)},
        ),
        Panel(
            "First token",
            "Of streams: from head to first byte.",
            "s",
            {f"{{{{model}}}} P{int(share * 100)}": quantile(share, _FIRST, "model") for share in (0.5, 0.95)},
        ),
        Panel(
            "Between tokens",
            "Of streams: between two output tokens after the first.",
            "s",
            {f"{{{{model}}}} P{int(share * 100)}": quantile(share, _TOKEN, "model") for share in (0.5, 0.95)},
        ),
        Panel(
            "Tokens",
            "Tokens settled in a second.",
            "none",
            {"{{model}} {{type}}": rate(f"ias_gateway_tokens_total{_OURS}", "model, type")},
        ),
    ),
)
_REPLICAS = Row(
    "As gateways see the replicas, of all models",
    (
        Panel(
            "Can be read",
            "1 while an engine's counters can be read. An alert goes off at 0.",
            "none",
            {"{{models}} {{replica}}": least("ias_engine_up", "replica, models")},
            bad=1,
            below=True,
        ),
        Panel(
            "Under way",
            "Requests under way on each replica, of all gateways.",
            "none",
            {"{{replica}}": "sum by (replica) (ias_gateway_replica_outstanding)"},
        ),
        Panel(
            "Out of turn",
            "How often a replica rested after failures in a row, in ten minutes.",
            "none",
            {"{{replica}}": "sum by (replica) (increase(ias_gateway_replica_ejections_total[10m]))"},
        ),
        Panel(
            "Healthy",
            "1 while a replica says so; of those that have others beside them.",
            "none",
            {"{{replica}}": least("ias_gateway_replica_up", "replica")},
        ),
        Panel(
            "Failed upstream",
            "Share of admitted requests that an engine broke or let wait too long.",
            "percentunit",
            {"": f"({_BROKEN} or vector(0)) / ({_ENDED} > 0)"},
            bad=0.05,
        ),
        Panel(
            "Difference",
            "Tokens that engines counted less those that we did, today.",
            "none",
            {"{{models}} {{kind}}": worst('ias_engine_difference_tokens{day="today"}', "models, kind")},
            signed=True,
        ),
    ),
)
_ENGINES = Row(
    "As the engines tell (vLLM)",
    (
        Panel(
            "Queue",
            "Requests that engines compute, and that wait in them.",
            "none",
            {
                "{{model_name}} running": "sum by (model_name) (vllm:num_requests_running)",
                "{{model_name}} waiting": "sum by (model_name) (vllm:num_requests_waiting)",
            },
        ),
        Panel(
            "KV cache",
            "Share of the KV cache that is used; near 1 requests wait or are preempted.",
            "percentunit",
            {"{{model_name}} {{instance}}": "max by (model_name, instance) (vllm:kv_cache_usage_perc)"},
            bad=0.95,
        ),
        Panel(
            "Prefix cache",
            "Share of prompt tokens that were in the prefix cache.",
            "percentunit",
            {
                "{{model_name}}": f"{rate('vllm:prefix_cache_hits_total', 'model_name')} "
                f"/ ({rate('vllm:prefix_cache_queries_total', 'model_name')} > 0)"
            },
        ),
        Panel(
            "Preemptions",
            "Requests that an engine put off for want of KV cache, in a second.",
            "none",
            {"{{model_name}}": rate("vllm:num_preemptions_total", "model_name")},
        ),
        Panel(
            "First token, P95",
            "As the engine measures it: what a caller waits beyond this is ours or the network's.",
            "s",
            {"{{model_name}}": quantile(0.95, "vllm:time_to_first_token_seconds", "model_name")},
        ),
        Panel(
            "Tokens",
            "Tokens in a second, as the engine counts them.",
            "none",
            {
                "{{model_name}} input": f"sum by (model_name) (rate(vllm:prompt_tokens_total{WINDOW}))",
                "{{model_name}} output": f"sum by (model_name) (rate(vllm:generation_tokens_total{WINDOW}))",
            },
        ),
    ),
)

BOARD = Board(
    "ias-models",
    "Model Performance",
    "How each model serves: as callers see it, its replicas as gateways do, and what vLLM says.",
    (_CALLERS, _REPLICAS, _ENGINES),
    (Variable("model", "model", "gen_ai_server_request_duration_seconds_count", "Model"),),
)
