"""`python -m deploy.observability.panels [FOLDER]`: writes every dashboard, where nothing else is said as committed."""

import sys
from pathlib import Path

from deploy.observability.panels import accounting, infrastructure, models, organisations, overview
from deploy.observability.panels.building import written

BOARDS = (overview.BOARD, organisations.BOARD, models.BOARD, infrastructure.BOARD, accounting.BOARD)
COMMITTED = Path(__file__).resolve().parents[1] / "dashboards"


def main(folder: Path) -> None:
    """Write them; what is there and is no dashboard any more is deleted."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.json"):
        stale.unlink()
    for board in BOARDS:
        (folder / f"{board.uid}.json").write_text(written(board))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else COMMITTED)
