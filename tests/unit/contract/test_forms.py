"""Which gateways a Function library serves."""

import re

from ias.contract import admission
from ias.contract.forms import FORM, serves

OF_FORM = {
    1: frozenset(
        {
            *("ias_books", "ias_complete", "ias_count", "ias_forms", "ias_grant", "ias_grants", "ias_limits"),
            *("ias_models", "ias_project", "ias_reassert", "ias_recount", "ias_repair", "ias_reserve"),
            *("ias_reserve_packed", "ias_restore", "ias_revoke", "ias_settle", "ias_settle_packed", "ias_standing"),
            *("ias_sweep", "ias_tick", "ias_version", "ias_vitals"),
        }
    ),
}
"""What a library of each form registers. A function more is a new form, with a row of its own here."""


def test_a_library_that_has_other_functions_has_another_form() -> None:
    registered = frozenset(re.findall(r"^redis\.register_function.*?'(ias_\w+)'", admission.LIBRARY, re.MULTILINE))
    oldest, newest = map(int, re.findall(r"'ias_forms'.*return { (\d+), (\d+) }", admission.LIBRARY)[0])
    assert newest == FORM == max(OF_FORM)
    assert registered == OF_FORM[newest], "raise FORM and the second number of ias_forms, and say here what is new"
    for form in range(oldest, newest):
        assert OF_FORM[form] <= registered, f"raise the first number of ias_forms: gateways of form {form} go unserved"


def test_a_gateway_is_served_from_the_oldest_form_to_the_newest() -> None:
    assert [serves([oldest, newest]) for oldest, newest in ((1, 1), (1, 9), (2, 2), (0, 0))] == [
        True,
        True,
        False,
        False,
    ]
