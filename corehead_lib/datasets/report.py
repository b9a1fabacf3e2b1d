"""What became of every record of a dataset: kept, set aside, or refused with its id and reason."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from corehead_lib.errors import CoreheadError


@dataclass
class Report:
    """Counts of one load.

    ``refused`` holds (id, reason) of each record that could not be used; a reason reads "kind: details",
    and the summary counts kinds. ``files`` names those of them that are whole files, or parts of one: nobody
    knows how many records they held, and they are none themselves. ``aside`` counts good records that were not asked
    for (another split, another task, over the limit); ``notes`` counts repairs to records that were kept.
    """

    dataset: str
    kept: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    aside: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def seen(self) -> int:
        """Records met: each is kept, refused or set aside, once."""
        return self.kept + len(self.refused) - len(self.files) + self.aside.total()

    def refuse(self, id: str, reason: str | Exception) -> None:
        """Count a record that cannot be used; an exception other than CoreheadError reads "broken record: ..."."""
        if isinstance(reason, Exception):
            kind = "" if isinstance(reason, CoreheadError) else f"broken record: {type(reason).__name__} "
            reason = kind + " ".join(str(reason).split())
        self.refused.append((id, reason))

    @contextmanager
    def guard(self, id: str) -> Iterator[None]:
        """Refuse record ``id`` if the block raises, whatever a file can make it raise, and go on after it."""
        try:
            yield
        except Exception as error:
            self.refuse(id, error)

    @contextmanager
    def guard_file(self, name: str) -> Iterator[None]:
        """Like ``guard``, of file ``name`` or a part of it."""
        try:
            yield
        except Exception as error:
            self.refuse(name, error)
            self.files.append(name)

    def reasons(self) -> Counter[str]:
        """How many records were refused for each kind of reason."""
        return Counter(reason.split(": ")[0] for _, reason in self.refused)

    def summary(self, examples: int = 2) -> str:
        """Several lines: what was kept, what was set aside, and each reason with its first ids."""
        lines = [f"{self.dataset}: {self.kept} samples from {self.seen} records"]
        lines += [f"  {count} set aside: {what}" for what, count in self.aside.most_common()]
        for kind, count in self.reasons().most_common():
            first = [pair for pair in self.refused if pair[1].split(": ")[0] == kind][:examples]
            shown = "; ".join(
                f"{id} ({reason.removeprefix(kind).lstrip(': ') or kind})" for id, reason in first
            )
            lines.append(f"  {count} refused, {kind}: {shown}{'; ...' if count > examples else ''}")
        lines += [f"  {count} noted: {what}" for what, count in self.notes.most_common()]
        return "\n".join(lines)
