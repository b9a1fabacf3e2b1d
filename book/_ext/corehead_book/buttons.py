"""The buttons above a chapter: its student notebook as the download, and, once a repository is named, places that run it.

`repository_url` among the theme's options in `_config.yml` brings Colab and Binder. Colab opens the student notebooks from where the
rendered book is published, on the branch `corehead_pages`; Binder builds the repository (`binder/`), which makes them there.
"""

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from corehead_book.chapters import chapters
from corehead_book.students import write_course

FOLDER = "student"
GITHUB = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?$")


def launchers(url: str, pages: str, branch: str, stem: str) -> list[dict[str, str]]:
    """Return the buttons that run a chapter elsewhere; none without the address of a repository on GitHub."""
    match = GITHUB.match(url)
    if not match:
        return []
    places = {
        "Colab": f"https://colab.research.google.com/github/{match[1]}/blob/{pages}/{FOLDER}/{stem}.ipynb",
        "Binder": f"https://mybinder.org/v2/gh/{match[1]}/{branch}?urlpath=lab/tree/_build/{FOLDER}/{stem}.ipynb",
    }
    return [
        {"type": "link", "text": name, "url": to, "tooltip": f"Run on {name}", "icon": "fas fa-play"}
        for name, to in places.items()
    ]


def chapter_buttons(app: Sphinx, pagename: str, _: str, context: dict[str, Any], doctree: Any) -> None:
    """Let a chapter's download be its student notebook, and add the launch buttons."""
    folder, _, stem = pagename.rpartition("/")
    if folder != "notebooks" or "header_buttons" not in context:
        return
    for group in context["header_buttons"]:
        for button in group.get("buttons", []):
            if button.get("label") == "download-source-button":
                button["url"] = context["pathto"](f"{FOLDER}/{stem}.ipynb", 1)
                button["tooltip"] = "Download this chapter to work in, without the solutions"
    options = app.config.html_theme_options
    found = launchers(
        options.get("repository_url", ""),
        app.config.corehead_pages,
        options.get("repository_branch", "main"),
        stem,
    )
    if found:
        group = {"type": "group", "tooltip": "Run this chapter", "icon": "fas fa-rocket", "buttons": found}
        context["header_buttons"].append(group | {"label": "launch-buttons"})


def write_students(app: Sphinx, failed: Exception | None) -> None:
    """Write the student notebooks beside the pages."""
    known = chapters(Path(app.srcdir))
    if not failed and app.builder.format == "html" and known:
        url = app.config.html_theme_options.get("repository_url", "")
        write_course(known, Path(__file__).parents[2], Path(app.outdir) / FOLDER, False, url)
