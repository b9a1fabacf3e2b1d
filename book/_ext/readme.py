"""Write the table of verdicts into README.md, between its two marks: `python book/_ext/readme.py`."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))

from corehead_book.chapters import chapters  # noqa: E402
from corehead_book.tables import plain_verdicts  # noqa: E402

MARKED = re.compile(r"(<!-- verdicts: .*? -->\n).*?(<!-- end of verdicts -->)", re.S)


def renewed(text: str) -> str:
    """Return the text of README.md with the table as the executed chapters have it."""
    table = plain_verdicts(chapters(ROOT), ROOT / "book" / "verdicts.yaml")
    return MARKED.sub(lambda match: f"{match[1]}\n{table}\n\n{match[2]}", text)


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(renewed(readme.read_text(encoding="utf-8")), encoding="utf-8")
