"""The manifests as Markdown tables, for the book's page on data."""

from corehead_lib.data.manifest import Manifest, read_manifests


def markdown() -> str:
    """Tables of datasets, of their conventions, and of models."""
    datasets = list(read_manifests("dataset").values())
    models = sorted(
        read_manifests("model").values(), key=lambda m: (_family(m), (m.layers or 0) * (m.heads or 0))
    )
    return "\n".join(
        [
            "## Datasets",
            "",
            *_table(
                ("dataset", "what", "evidence", "licence", "fetch"),
                [(_link(m), m.description, m.evidence, _licence(m), _fetch(m)) for m in datasets],
            ),
            "",
            "## How they lie on disk, and how they count",
            "",
            *(line for m in datasets for line in _conventions(m)),
            "## Models",
            "",
            *_table(
                ("model", "layers", "heads", "KV heads", "head_dim", "hidden", "context", "heads in all", "numbers from", "licence"),
                [
                    (_link(m), m.layers, m.heads, m.kv_heads, m.head_dim, m.hidden, m.context,
                     (m.layers or 0) * (m.heads or 0), m.numbers_from or "its config", _licence(m))
                    for m in models
                ],
            ),
        ]
    )  # fmt: skip


def _family(m: Manifest) -> str:
    return m.name.rsplit("-", 1)[0]


def _conventions(m: Manifest) -> list[str]:
    counts = ", ".join(f"{count:,} {what}" for what, count in m.expected.items())
    lines = [
        ("format", m.format),
        ("folder", m.layout),
        ("conventions", m.conventions),
        ("expected", counts),
        ("cite", m.citation),
    ]
    return [f"**{m.name}**", "", *(f"- {name}: {_plain(text)}" for name, text in lines if text), ""]


def _link(m: Manifest) -> str:
    return f"[{m.name}]({m.source.split()[0]})" if m.source.startswith("https://") else m.name


def _licence(m: Manifest) -> str:
    return m.licence + (f" ({m.licence_conflict})" if m.licence_conflict else "")


def _fetch(m: Manifest) -> str:
    return {"open": "by command", "terms": "by command, terms to accept", "nothing": "not needed"}.get(
        m.fetch, m.fetch
    )


def _table(header: tuple[str, ...], rows: list[tuple]) -> list[str]:
    lines = [header, ("---",) * len(header), *rows]
    return ["| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines]


def _plain(cell: object) -> str:
    """Text that Markdown leaves as it is."""
    text = "" if cell is None else str(cell)
    for mark in "*_<>|":
        text = text.replace(mark, f"\\{mark}") if not text.startswith("[") else text
    return text
