"""Real repositories, made in the test."""

import os
import subprocess
from pathlib import Path

ENV = {
    "PATH": os.defpath,
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


class Repo:
    """A repository with a working tree, whose branch `main` is what organisations are bound to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments],
            env=ENV,
            capture_output=True,
            text=True,
            input=stdin,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: dict[str, str | bytes | None], message: str = "a change") -> str:
        """Write these files (None removes one), commit, and answer the commit."""
        for path, content in files.items():
            file = self.folder / path
            if content is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")


def policy(name: str, spec: str = "", metadata: str = "") -> str:
    """A policy file; `spec` and `metadata` are lines of YAML, indented by two."""
    return (
        f"apiVersion: ias.linode.com/v1\nkind: Organization\nmetadata:\n  name: {name}\n{metadata}"
        f"spec:{' {}' if not spec else ''}\n{spec}"
    )


def users(*people: tuple[str, str] | tuple[str, str, int | None]) -> str:
    """The lines of `users`: address, role and, where it is given, monthly_token_limit."""
    lines = ["  users:"]
    for email, role, *limit in people:
        lines += [f"    - email: {email}", f"      role: {role}"]
        lines += [f"      monthly_token_limit: {'null' if each is None else each}" for each in limit]
    return "\n".join(lines) + "\n"
