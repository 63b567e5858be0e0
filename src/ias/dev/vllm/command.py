"""A long command: what it says is shown as it comes, and it ends with us."""

import subprocess
from collections.abc import Callable, Mapping

Tell = Callable[[str], None]


def run(argv: tuple[str, ...], env: Mapping[str, str], tell: Tell) -> tuple[int, str]:
    """The exit code and all that was said, on either stream."""
    lines: list[str] = []
    with subprocess.Popen(  # noqa: S603 - the command is ours
        argv,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as running:
        try:
            for line in running.stdout or ():
                lines.append(line)
                tell(line.strip())
        except BaseException:
            running.kill()
            raise
    return running.returncode, "".join(lines)
