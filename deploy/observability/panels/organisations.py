"""Who uses how much: organisations and their members, this month, by the ledger."""

from deploy.observability.panels.shape import Board, Panel, Row, Variable, rate, worst

_OURS = '{organisation=~"$organisation"}'
_TOKENS = worst(f"ias_organisation_tokens{_OURS}", "organisation, type")
_GREW = f"delta(ias_organisation_tokens{_OURS}[1h])"
_WHOLE = f"sum by (organisation) ({_TOKENS})"
_BUDGET = worst(f"ias_organisation_budget_tokens{_OURS}", "organisation")

_MONTH = Row(
    "This month",
    (
        Panel("Tokens", "Of the chosen organisations.", "short", {"": f"sum ({_TOKENS})"}, "number", 6),
        Panel(
            "Requests",
            "Of the chosen organisations.",
            "short",
            {"": f"sum ({worst(f'ias_organisation_requests{_OURS}', 'organisation')})"},
            "number",
            6,
        ),
        Panel(
            "Cost",
            "Of the chosen organisations, in the currency of the rates.",
            "none",
            {"": f"sum ({worst(f'ias_organisation_cost{_OURS}', 'organisation')})"},
            "number",
            6,
        ),
        Panel(
            "Active organisations",
            "Organisations, of all, that have used anything this month.",
            "none",
            {"": worst("ias_organisations_active")},
            "number",
            6,
        ),
    ),
)
_LARGEST = Row(
    "The largest",
    (
        Panel(
            "Organisations",
            "Tokens of this month; the ten that use most.",
            "short",
            {"{{organisation}}": f"topk(10, {_WHOLE})"},
            "bars",
        ),
        Panel(
            "Of their budgets",
            "Share of the month's budget that is used; those without a limit are left out.",
            "percentunit",
            {"{{organisation}}": f"topk(10, {_WHOLE} / ({_BUDGET} > 0))"},
            "bars",
            bad=0.9,
        ),
        Panel(
            "Members",
            "Tokens of this month; the ten that use most, by id: a member's page in the console says who it is.",
            "short",
            {"{{organisation}} {{user}}": f"topk(10, {worst(f'ias_member_tokens{_OURS}', 'organisation, user')})"},
            "bars",
        ),
    ),
)
_TIME = Row(
    "How it grew",
    (
        Panel(
            "Tokens",
            "Of this month so far; it begins anew with each month (UTC).",
            "short",
            {"{{organisation}}": _WHOLE},
            width=12,
        ),
        Panel(
            "Tokens in an hour",
            "By how much that grew in the hour before.",
            "short",
            {"{{organisation}}": f"sum by (organisation) ({worst(f'clamp_min({_GREW}, 0)', 'organisation, type')})"},
            width=12,
        ),
        Panel(
            "Input and output",
            "Tokens of this month so far, by type.",
            "short",
            {"{{type}}": f"sum by (type) ({_TOKENS})"},
            "areas",
            12,
        ),
        Panel(
            "Requests",
            "Of this month so far.",
            "short",
            {"{{organisation}}": worst(f"ias_organisation_requests{_OURS}", "organisation")},
            width=12,
        ),
    ),
)
_LIMITS = Row(
    "Limits at work, of all organisations",
    (
        Panel(
            "Budgets past a threshold",
            "Budgets of this month that have passed a threshold.",
            "none",
            {"{{scope}} {{threshold}} %": worst("ias_budgets_passed", "scope, threshold")},
            width=12,
        ),
        Panel(
            "Refused by limits",
            "Requests in a second that a budget, a rate or a concurrency limit refused.",
            "reqps",
            {"{{code}}": rate('ias_gateway_refusals_total{code=~"insufficient_quota|rate_limit_exceeded"}', "code")},
            width=12,
        ),
    ),
)

BOARD = Board(
    "ias-organisations",
    "Organisation Usage",
    "Tokens, requests, cost and budgets of this month, by the ledger. The fifty largest organisations and members have "
    "series of their own, the other organisations are (others).",
    (_MONTH, _LARGEST, _TIME, _LIMITS),
    (Variable("organisation", "organisation", "ias_organisation_tokens", "Organisation"),),
)
