"""Write the notebooks to work in: `python book/_ext/course.py student OUT`, or `instructor OUT` with the solutions."""

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))

from corehead_book.chapters import chapters  # noqa: E402
from corehead_book.students import write_course  # noqa: E402

if __name__ == "__main__":
    kind, out = sys.argv[1:]
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    url = config["sphinx"]["config"]["html_theme_options"].get("repository_url", "")
    number = write_course(chapters(ROOT), ROOT / "book", Path(out), kind == "instructor", url)
    print(f"{number} notebooks in {out}")
