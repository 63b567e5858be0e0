"""The end of a folder: every program and container recorded in it, then the folder itself."""

import os
import shutil
from pathlib import Path

from tests.services import engine
from tests.services.process import end_all, recorded


def end(folder: Path) -> None:
    """End what is recorded below the folder and delete it; harmless where nothing is left."""
    end_all(record for record in folder.rglob("*.pid") if not _is_us(record))
    engine.remove(folder.rglob(engine.RECORD))
    shutil.rmtree(folder, ignore_errors=True)


def _is_us(record: Path) -> bool:
    living = recorded(record)
    return living is not None and living.pid == os.getpid()
