"""Are the processes and the services well: everything that they tell of themselves; nothing else needs to be there."""

from deploy.observability.panels.shape import WINDOW, Board, Panel, Row, least, rate, worst

_JOBS = 'job=~"(.*-)?(gateway|api|worker|vllm)(-.*)?"'
# Others that are scraped have metrics of these names too: ours are those that say which release they are.
_OURS = "and on (job, instance) ias_build_info"

_PROCESSES = Row(
    "Processes",
    (
        Panel(
            "Up",
            "1 while the process can be scraped.",
            "none",
            {"{{job}} {{instance}}": f"up{{{_JOBS}}}"},
            bad=1,
            below=True,
        ),
        Panel(
            "Age",
            "Since the process began.",
            "s",
            {"{{job}} {{instance}}": f"time() - (process_start_time_seconds {_OURS})"},
        ),
        Panel(
            "Releases",
            "Processes by release; two at once while a rollout goes on.",
            "none",
            {"{{job}} {{version}}": "count by (job, version) (ias_build_info)"},
            "bars",
        ),
        Panel(
            "Processor",
            "Processors at work for each process.",
            "none",
            {"{{job}} {{instance}}": f"rate(process_cpu_seconds_total{WINDOW}) {_OURS}"},
        ),
        Panel(
            "Memory", "Resident memory.", "bytes", {"{{job}} {{instance}}": f"process_resident_memory_bytes {_OURS}"}
        ),
        Panel(
            "Open files",
            "Share of the file descriptors that may be open; each connection is one.",
            "percentunit",
            {"{{job}} {{instance}}": f"(process_open_fds / process_max_fds) {_OURS}"},
            bad=0.8,
        ),
        Panel(
            "Event loop",
            "How late event loops are. Gateways turn requests away from 250 ms on.",
            "s",
            {
                "gateway {{instance}}": "ias_gateway_loop_lag_seconds",
                "{{job}} {{instance}}": "ias_loop_lag_seconds",
            },
            bad=0.25,
        ),
        Panel(
            "Turned away",
            "Requests that gateways turned away at once, in a second, by reason.",
            "reqps",
            {"{{reason}}": f"{rate('ias_gateway_shed_total', 'reason')} or vector(0)"},
        ),
        Panel(
            "Stages",
            "1 while the last turn of a worker's stage went through.",
            "none",
            {"{{stage}}": least("ias_stage_up", "stage")},
            bad=1,
            below=True,
        ),
    ),
)
_POSTGRESQL = Row(
    "PostgreSQL",
    (
        Panel(
            "Pools",
            "Connections at work, and how many each pool may have. An alert goes off where they are the same.",
            "none",
            {
                "{{instance}} {{pool}}": 'ias_pool_connections{state="in use"}',
                "{{instance}} {{pool}}, at most": "ias_pool_limit",
            },
        ),
        Panel(
            "Given up",
            "Times in ten minutes that no connection could be had in five seconds.",
            "none",
            {"{{job}} {{instance}}": "increase(ias_pool_timeouts_total[10m])"},
            bad=1,
        ),
        Panel(
            "Connections",
            "Connections of the server, and how many it takes.",
            "none",
            {
                "connections": worst("ias_postgresql_connections"),
                "at most": worst("ias_postgresql_connections_limit"),
            },
        ),
        Panel("Size", "Size of the database.", "bytes", {"": worst("ias_postgresql_size_bytes")}),
        Panel(
            "Migrations",
            "Migrations of this release that the database lacks.",
            "none",
            {"": worst("ias_migrations_pending")},
            "number",
            4,
            1,
        ),
        Panel(
            "Role",
            "1: connections act as a role that row-level security holds.",
            "none",
            {"": least("ias_postgresql_role_ok")},
            "number",
            4,
            1,
            below=True,
        ),
        Panel(
            "Up", "1 while PostgreSQL answers.", "none", {"": least("ias_postgresql_up")}, "number", 4, 1, below=True
        ),
        Panel(
            "Hypertable",
            "1: usage events are in a hypertable of TimescaleDB.",
            "none",
            {"": worst("ias_timescaledb")},
            "number",
            4,
        ),
    ),
)
_REDIS = Row(
    "Redis",
    (
        Panel("Memory", "Memory used, of all shards.", "bytes", {"": worst("ias_redis_memory_bytes")}),
        Panel(
            "Of what is allowed",
            "In the fullest shard; 0 where no maxmemory is set. Gateways turn requests away from 0.8 on.",
            "percentunit",
            {"": worst("ias_redis_memory_ratio")},
            bad=0.8,
        ),
        Panel(
            "Clock",
            "Redis's clock before ours. Gateways are not ready beyond 30 s.",
            "s",
            {"": worst("ias_redis_clock_skew_seconds")},
            signed=True,
        ),
        Panel(
            "Up, to gateways",
            "1 while a gateway reaches Redis.",
            "none",
            {"{{instance}}": "ias_gateway_redis_up"},
            bad=1,
            below=True,
        ),
        Panel(
            "Not as it should be",
            "Shards that are not kept on disk, that would evict, or that lack the Function library.",
            "none",
            {
                "not persistent": worst("ias_redis_shards_not_persistent"),
                "evicting": worst("ias_redis_shards_evicting"),
                "without library": worst("ias_redis_shards_without_library"),
            },
            bad=1,
        ),
        Panel(
            "Projection",
            "Organisations whose projection is not complete, and changes that Redis has not confirmed.",
            "none",
            {
                "incomplete": worst("ias_projection_incomplete"),
                "owed to {{of}}": worst("ias_projection_debts", "of"),
            },
        ),
    ),
)
_RABBITMQ = Row(
    "RabbitMQ",
    (
        Panel(
            "Waiting",
            "Messages that wait in a queue; each has up to 200 events. An alert goes off above 10,000.",
            "none",
            {"{{queue}}": worst("ias_queue_messages", "queue")},
            bad=10_000,
        ),
        Panel(
            "Consumers",
            "Who consumes a queue.",
            "none",
            {"{{queue}}": worst("ias_queue_consumers", "queue")},
            bad=1,
            below=True,
        ),
        Panel(
            "Dead letters",
            "Messages that nobody could take in.",
            "none",
            {"{{queue}}": worst("ias_dead_letters", "queue")},
            bad=1,
        ),
    ),
)
_REST = Row(
    "Git and traces",
    (
        Panel(
            "Repositories that cannot be had",
            "Repositories of policies that the reconciler cannot fetch just now.",
            "none",
            {"": worst("ias_gitops_repositories_failing")},
            bad=1,
        ),
        Panel(
            "Looks at repositories",
            "Looks in a minute, by how they ended.",
            "none",
            {"{{outcome}}": "60 * (" + rate("ias_gitops_passes_total", "outcome") + ") or vector(0)"},
        ),
        Panel(
            "Spans",
            "Spans of the gateways in a second, by whether the collector has them; none where tracing is off.",
            "none",
            {"{{result}}": rate("ias_gateway_spans_total", "result") + " or vector(0)"},
        ),
    ),
)

BOARD = Board(
    "ias-infrastructure",
    "Infrastructure Health",
    "Processes, PostgreSQL, Redis, RabbitMQ and Git, by what the processes tell of themselves and of what they need.",
    (_PROCESSES, _POSTGRESQL, _REDIS, _RABBITMQ, _REST),
)
