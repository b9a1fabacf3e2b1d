"""MyST as plain Markdown, for notebooks that are read where nothing but Jupyter is."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from corehead_book.chapters import Chapter, filled

ROLE = re.compile(r"\{(?P<role>[\w:]+)\}`(?P<text>[^`<]+?)(?:\s*<(?P<target>[^`>]*)>)?`")
LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<target>[\w./-]+)\)")
FIGURE = re.compile(r"```\{glue:figure\} (\w+)\n((?::\w+: [^\n]*\n)+)\n(.+?)\n```", re.S)
HINT = re.compile(r":::\{dropdown\} ([^\n]+)\n(?::\w+: ?[^\n]*\n)*\n?(.+?)\n:::", re.S)
MADE = re.compile(r"```\{[\w-]+\}\n(?::\w+:[^\n]*\n)*```\n?")  # what the book makes of all chapters
FENCE = re.compile(r"^:::+(?:\{[\w-]+\}.*)?$\n?|^:[\w-]+: .*$\n?", re.M)
ENTRY = re.compile(r"@\w+\{(\w+),(.*?)\n\}", re.S)


def plain(text: str, known: Mapping[str, Chapter], stem: str, cite: Callable[[str, str], str]) -> str:
    """Return the prose of chapter ``stem``: numbers filled in, figures by their captions, roles by their words.

    cite: from a role, cite:t or cite:p, and keys to what stands in the text.
    """
    names = {f: c for c in known.values() for f in re.findall(r":name: (\S+)\n", _prose(c))}

    def role(match: re.Match[str]) -> str:
        kind, words, target = match["role"], match["text"], match["target"]
        if kind.startswith("cite"):
            return cite(kind, words)
        if kind == "numref":
            at = names.get(words)
            return (
                "the figure" + (f" of chapter {at.number}" if at and at.stem != stem else "") + f" *{words}*"
            )
        if kind == "doc" and not target:
            return words.rpartition("/")[2]
        return words

    def link(match: re.Match[str]) -> str:
        name = match["target"].rpartition("/")[2].removesuffix(".ipynb").removesuffix(".md")
        if name in known:
            chapter = known[name]
            return f"[{match['text'] or f'{chapter.number}: {chapter.title}'}]({name}.ipynb)"
        return match["text"] or f"the page *{name}*"

    def figure(match: re.Match[str]) -> str:
        said = dict(re.findall(r":(\w+): (.*)", match[2]))
        return f"> Figure *{said['name']}*, which one of the cells here draws: {' '.join(match[3].split())}"

    own = re.sub(r"\{glue:text\}`(\w+)(:[^`]*)?`", rf"{{glue:text}}`{stem}::\1\2`", text)
    text = filled(own, known)
    text = MADE.sub("*The book's page has this table.*\n", FIGURE.sub(figure, text))
    text = HINT.sub(r"<details><summary>\1</summary>\n\n\2\n\n</details>", text)
    return LINK.sub(link, ROLE.sub(role, FENCE.sub("", text))).strip()


def _prose(chapter: Chapter) -> str:
    return "\n\n".join(c.source for c in chapter.notebook.cells if c.cell_type == "markdown")


def citations(bibliography: Path) -> Callable[[str, str], str]:
    """Return how to write keys of that BibTeX file: Sun et al. (2026), or in brackets."""
    known = {}
    for key, body in ENTRY.findall(bibliography.read_text(encoding="utf-8")):
        said = {k: re.sub(r"[{}]", "", v) for k, v in re.findall(r"(\w+)\s*=\s*\{(.*)\}", body)}
        names = [name.split(",")[0].strip() for name in said.get("author", key).split(" and ")]
        who = (
            names[0] if len(names) == 1 else " and ".join(names) if len(names) == 2 else f"{names[0]} et al."
        )
        known[key] = who, said.get("year", "")

    def cite(role: str, keys: str) -> str:
        found = [known[key.strip()] for key in keys.split(",")]
        if role == "cite:t":
            return ", ".join(f"{who} ({year})" for who, year in found)
        return "(" + "; ".join(f"{who}, {year}" for who, year in found) + ")"

    return cite
