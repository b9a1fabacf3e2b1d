"""The manifests as Markdown tables, for the book's page on data."""

from corehead_lib.datasets.manifest import Manifest, read_manifests


def markdown() -> str:
    """Tables of datasets, of their conventions, and of models."""
    datasets = list(read_manifests("dataset").values())
    models = sorted(read_manifests("model").values(), key=lambda m: (_family(m), _heads(m)))
    header = ("model", "layers", "heads", "KV heads", "head_dim", "hidden", "context", "heads in all")
    numbers = [
        (_link(m), m.layers, m.heads, m.kv_heads, m.head_dim, m.hidden, m.context, _heads(m)) for m in models
    ]
    lines = [
        "## Datasets",
        "",
        *_table(
            ("dataset", "what", "evidence", "fetch"),
            [(_link(m), m.description, m.evidence, _fetch(m)) for m in datasets],
        ),
        "",
        "## Licences, folders, conventions",
        "",
        *(line for m in datasets for line in _details(m)),
        "## Models",
        "",
        *_table(header, numbers),
        "",
        *_remarks(models),
    ]
    return "\n".join(lines)


def _heads(m: Manifest) -> int:
    return (m.layers or 0) * (m.heads or 0)


def _remarks(models: list[Manifest]) -> list[str]:
    """Licences of the models, and numbers that nobody read off the model's own config."""
    licences = sorted({m.licence for m in models})
    lines = [f"- licence: {', '.join(licences)}, as their pages on the hub say"]
    lines += [f"- {m.name}: {_plain(m.licence_conflict)}" for m in models if m.licence_conflict]
    for where, what in (("memory", "numbers from memory"), ("derivative", "numbers read off a derivative")):
        names = ", ".join(m.name for m in models if m.numbers_from == where)
        lines.append(f"- {what}: {names}")
    return lines


def _family(m: Manifest) -> str:
    return m.name.rsplit("-", 1)[0]


def _details(m: Manifest) -> list[str]:
    counts = ", ".join(f"{count:,} {what}" for what, count in m.expected.items())
    lines = [
        ("licence", m.licence + (f" ({m.licence_conflict})" if m.licence_conflict else "")),
        ("format", m.format),
        ("folder", m.layout),
        ("conventions", m.conventions),
        ("expected", counts),
        ("cite", m.citation),
    ]
    return [f"**{m.name}**", "", *(f"- {name}: {_plain(text)}" for name, text in lines if text), ""]


def _link(m: Manifest) -> str:
    return f"[{m.name}]({m.source.split()[0]})" if m.source.startswith("https://") else m.name


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
