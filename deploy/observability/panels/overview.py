"""Is the platform well, and are its users? The first page to look at."""

from deploy.observability.panels.shape import Board, Panel, Row, least, quantile, rate, worst

_ADMITTED = "gen_ai_server_request_duration_seconds"
_FIRST = "gen_ai_server_time_to_first_token_seconds"
_HTTP = "ias_http_request_duration_seconds"
_FAILED = rate('ias_gateway_requests_total{status=~"5.."}')
_ALL = rate("ias_gateway_requests_total")


def _state(title: str, said: str, query: str) -> Panel:
    return Panel(title, said, "none", {"": query}, "number", 4, 1, below=True)


_NOW = Row(
    "Now",
    (
        Panel(
            "Requests", "Requests that gateways answer in a second, refused ones too.", "reqps", {"": _ALL}, "number", 4
        ),
        Panel(
            "Errors",
            "Share of requests that were answered with 5xx. An alert goes off above 5 %.",
            "percentunit",
            {"": f"({_FAILED} or vector(0)) / ({_ALL} > 0)"},
            "number",
            4,
            0.05,
        ),
        Panel(
            "First token, P95",
            "Of streams: from the request's head to the first byte, for 95 of 100. An alert goes off above 1 s.",
            "s",
            {"": quantile(0.95, _FIRST)},
            "number",
            4,
            1,
        ),
        Panel(
            "Under way",
            "Admitted requests that are not over.",
            "none",
            {"": "sum (ias_gateway_open_requests)"},
            "number",
            4,
        ),
        Panel(
            "Tokens",
            "Input and output tokens settled in a second.",
            "none",
            {"": rate("ias_gateway_tokens_total")},
            "number",
            4,
        ),
        Panel(
            "Alerts",
            "Alerts that have gone off and are not over.",
            "none",
            {"": 'count (ALERTS{alertname=~"Ias.*", alertstate="firing"}) or vector(0)'},
            "number",
            4,
            1,
        ),
    ),
)
_TRAFFIC = Row(
    "Requests of the gateways",
    (
        Panel(
            "By status",
            "Answers in a second, by HTTP status.",
            "reqps",
            {"{{status}}": rate("ias_gateway_requests_total", "status")},
            "areas",
        ),
        Panel(
            "Refusals",
            "Requests refused with an error in a second, by its code: rate_limit_exceeded and insufficient_quota are "
            "limits at work, server_overloaded and not_ready are ours.",
            "reqps",
            {"{{code}}": rate("ias_gateway_refusals_total", "code")},
            "areas",
        ),
        Panel(
            "Outcomes",
            "How admitted requests ended, in a second.",
            "reqps",
            {"{{outcome}}": rate("ias_gateway_outcomes_total", "outcome")},
            "areas",
        ),
        Panel(
            "Tokens",
            "Tokens settled in a second, by type.",
            "none",
            {"{{type}}": rate("ias_gateway_tokens_total", "type")},
            "areas",
        ),
        Panel(
            "Under way",
            "Admitted requests under way, and how many there may be before more are turned away.",
            "none",
            {
                "under way": "sum (ias_gateway_open_requests)",
                "at most": "sum (ias_gateway_open_requests_limit)",
            },
        ),
        Panel(
            "By endpoint",
            "Requests in a second, by route.",
            "reqps",
            {"{{endpoint}}": rate("ias_gateway_requests_total", "endpoint")},
            "areas",
        ),
    ),
)
_LATENCY = Row(
    "Latency",
    (
        Panel(
            "First token",
            "Of streams: from head to first byte.",
            "s",
            {f"P{int(share * 100)}": quantile(share, _FIRST) for share in (0.5, 0.95, 0.99)},
        ),
        Panel(
            "Whole request",
            "Of admitted requests: from head to last byte; with long answers it is long.",
            "s",
            {f"P{int(share * 100)}": quantile(share, _ADMITTED) for share in (0.5, 0.95, 0.99)},
        ),
        Panel(
            "Management API",
            "From request to last byte of the API and the pages.",
            "s",
            {f"P{int(share * 100)}": quantile(share, _HTTP) for share in (0.5, 0.95, 0.99)},
        ),
    ),
)
_API = Row(
    "Management API and pages",
    (
        Panel(
            "By status",
            "Answers in a second.",
            "reqps",
            {"{{status}}": rate("ias_http_requests_total", "status")},
            "areas",
        ),
        Panel(
            "Slowest routes, P95",
            "The ten slowest routes.",
            "s",
            {"{{method}} {{route}}": f"topk(10, {quantile(0.95, _HTTP, 'method, route')} > 0)"},
            "bars",
        ),
        Panel(
            "Under way",
            "Requests under way.",
            "none",
            {"{{instance}}": "sum by (instance) (ias_http_requests_in_flight)"},
        ),
    ),
)
_SERVICES = Row(
    "What is needed",
    (
        _state("PostgreSQL", "1 while PostgreSQL answers.", least("ias_postgresql_up")),
        _state("Redis", "1 while every shard of Redis answers.", least("ias_redis_up")),
        _state("RabbitMQ", "1 while RabbitMQ answers.", least("ias_rabbitmq_up")),
        _state("Gateways", "Gateway processes that say that they run.", worst("ias_gateways_up")),
        _state("Engines", "Share of engines that can be read; 1 is all.", "avg (ias_engine_up)"),
        _state("Stages", "Share of workers' stages whose last turn went through; 1 is all.", "avg (ias_stage_up)"),
    ),
)

BOARD = Board(
    "ias-overview",
    "System Overview",
    "Is the platform well, and are its users: requests, errors, latency, and what it needs.",
    (_NOW, _TRAFFIC, _LATENCY, _API, _SERVICES),
)
