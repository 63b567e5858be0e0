"""`python -m tests.engine`: installs vLLM and its model where they are not, or says why that cannot be."""

import click

from ias.dev.fault import Fault
from ias.dev.settings import inherited
from ias.dev.vllm import installation


def main() -> None:
    """Never fails: a machine that cannot have vLLM skips its tests."""
    try:
        installed = installation.ensure(inherited())
    except Fault as fault:
        click.echo(f"The tests on a real vLLM are skipped: {fault}")
        return
    click.echo(f"vLLM is in {installed.home}.")


if __name__ == "__main__":
    main()
