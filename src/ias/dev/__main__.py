"""`python -m ias.dev`: the same as `ias dev`, started sooner, as it loads nothing of the platform."""

from ias.dev.cli import dev

if __name__ == "__main__":
    dev(prog_name="ias dev")
