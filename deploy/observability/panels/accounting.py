"""Is every token accounted for, and how soon: what waits, what differs, what was set aside."""

from deploy.observability.panels.shape import Board, Panel, Row, quantile, rate, worst

_EXACT = Row(
    "Exact",
    (
        Panel(
            "Organisations that differ",
            "In how many the last check found Redis and the ledger apart. An alert goes off above 0.",
            "none",
            {"": f"sum ({worst('ias_check_drifting', 'kind')})"},
            "number",
            4,
            1,
        ),
        Panel(
            "By tokens",
            "By how many tokens, of all kinds.",
            "none",
            {"": f"sum (abs({worst('ias_check_drift_tokens', 'kind')}))"},
            "number",
            4,
            1,
        ),
        Panel(
            "Last check",
            "Since Redis was compared with the ledger.",
            "s",
            {"": "min (ias_check_age_seconds)"},
            "number",
            4,
            300,
        ),
        Panel(
            "Set aside",
            "Events that could not be taken in and were not put back.",
            "none",
            {"": f"sum ({worst('ias_quarantined', 'consumer')})"},
            "number",
            4,
            1,
        ),
        Panel(
            "Dead letters",
            "Messages that nobody could take in.",
            "none",
            {"": f"sum ({worst('ias_dead_letters', 'queue')}) or vector(0)"},
            "number",
            4,
            1,
        ),
        Panel(
            "Spooled",
            "Settlements on gateways' disks that Redis has not confirmed.",
            "none",
            {"": "sum (ias_gateway_spooled)"},
            "number",
            4,
            1,
        ),
    ),
)
_SOON = Row(
    "Soon",
    (
        Panel(
            "From settlement to each stage, P95",
            "How long after a request was settled in Redis the relay, the ledger and analytics were done with it.",
            "s",
            {"{{stage}}": quantile(0.95, "ias_usage_lag_seconds", "stage")},
        ),
        Panel(
            "Oldest that waits",
            "Age of the oldest settlement that is not in PostgreSQL, and of the oldest that no relay has handed on.",
            "s",
            {
                "not in PostgreSQL": worst("ias_outbox_oldest_seconds"),
                "not relayed": worst("ias_relay_lag_seconds"),
            },
            bad=60,
        ),
        Panel(
            "Behind",
            "Age, at the last check, of the oldest that a consumer did not have.",
            "s",
            {"{{consumer}}": worst("ias_consumer_lag_seconds", "consumer")},
            bad=60,
        ),
        Panel(
            "Outbox",
            "Settlements in Redis that are not known to be in PostgreSQL; the janitor deletes them once they are.",
            "none",
            {"settlements": worst("ias_outbox_entries")},
        ),
        Panel(
            "Taken in",
            "In a second: handed on by relays, written into the ledger, taken in by analytics.",
            "none",
            {
                "relayed": rate("ias_relay_relayed_total"),
                "ledger": rate("ias_ledger_lines_total"),
                "analytics": rate("ias_usage_events_total"),
            },
        ),
        Panel(
            "Not confirmed",
            "Settlements that gateways keep: Redis has not confirmed them, or the ledger is not known to have them.",
            "none",
            {"not confirmed": "sum (ias_gateway_unsettled)", "kept": "sum (ias_gateway_kept_settlements)"},
        ),
    ),
)
_HELD = Row(
    "Held",
    (
        Panel(
            "Reservations",
            "Requests that hold tokens, and those of them whose gateway no longer holds the lease.",
            "none",
            {"live": worst("ias_reservations_live"), "lapsed": worst("ias_reservations_lapsed")},
        ),
        Panel(
            "Sweeper",
            "How long ago the first of those leases lapsed; they are settled after five seconds.",
            "s",
            {"": worst("ias_sweep_lag_seconds")},
            bad=20,
        ),
        Panel(
            "At risk",
            "What estimated prompts under way hold too little, at most; 0 without estimate mode.",
            "none",
            {
                "at risk": "sum (ias_gateway_tokens_at_risk)",
                "overshot in an hour": "sum (increase(ias_gateway_overshot_tokens_total[1h]))",
            },
        ),
    ),
)
_UNUSUAL = Row(
    "Unusual",
    (
        Panel(
            "What was made right",
            "In ten minutes: requests of lost gateways, reservations put back, entries relayed again.",
            "none",
            {
                "swept": "sum (increase(ias_sweep_swept_total[10m]))",
                "put back": "sum (increase(ias_gateway_reasserted_total[10m]))",
                "relayed again": "sum (increase(ias_relay_again_total[10m]))",
            },
        ),
        Panel(
            "Seen twice",
            "Events in ten minutes that were there already: a delivery was repeated, and counted once.",
            "none",
            {
                "ledger": "sum (increase(ias_ledger_duplicates_total[10m]))",
                "analytics": "sum (increase(ias_usage_duplicates_total[10m]))",
            },
        ),
        Panel(
            "Set aside",
            "Events in ten minutes that could not be taken in.",
            "none",
            {
                "ledger": "sum (increase(ias_ledger_quarantined_total[10m]))",
                "analytics": "sum (increase(ias_usage_quarantined_total[10m]))",
            },
            bad=1,
        ),
    ),
)
_ENGINES = Row(
    "Against the engines",
    (
        Panel(
            "Difference",
            "Tokens that engines counted less those that we did; clients that left early and restarts explain some.",
            "none",
            {"{{models}} {{kind}} {{day}}": worst("ias_engine_difference_tokens", "models, kind, day")},
            width=12,
            signed=True,
        ),
        Panel(
            "Watched",
            "Of today, through how much of it engines were read; below 1 a difference may be what nobody saw.",
            "percentunit",
            {"{{models}}": worst("ias_engine_watched_ratio", "models")},
            width=12,
        ),
    ),
)

BOARD = Board(
    "ias-accounting",
    "Accounting",
    "Is every token accounted for, and how soon: drift, lag, outbox, reconciliation, quarantine.",
    (_EXACT, _SOON, _HELD, _UNUSUAL, _ENGINES),
)
