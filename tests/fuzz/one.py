"""`python -m tests.fuzz.one TARGET …`: fuzzes one target; the rest of the arguments are libFuzzer's.

Atheris (Google's fuzzer for Python) is in no environment of the house: `nox -s fuzz` puts it into the path.
"""

import sys

import atheris

with atheris.instrument_imports(include=["ias_gateway", "ias.contract", "ias.gitops.documents"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    name, *rest = sys.argv[1:]
    atheris.Setup([f"fuzz-{name}", *rest], TARGETS[name])
    atheris.Fuzz()


main()
