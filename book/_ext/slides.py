"""Make slides from the executed chapters, one page that needs nothing else: `python book/_ext/slides.py OUT.html`.

Each chapter gives a slide with its claim and what came out, and one for each figure, with its caption.
"""

import re
import sys
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))

from corehead_book.chapters import Chapter, chapters  # noqa: E402
from corehead_book.plain import FIGURE, citations, plain  # noqa: E402

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The heads that look: slides</title>
<style>
  html {{ scroll-snap-type: y mandatory; font: 1.35rem/1.45 system-ui, sans-serif; color: #1b1b1b; background: #fff; }}
  body {{ margin: 0; }}
  section {{ box-sizing: border-box; min-height: 100vh; padding: 5vh 8vw; scroll-snap-align: start; display: flex;
    flex-direction: column; justify-content: center; break-after: page; }}
  h1, h2 {{ line-height: 1.2; margin: 0 0 .5em; }}
  figure {{ margin: 0; text-align: center; }}
  img {{ max-width: 100%; max-height: 68vh; object-fit: contain; }}
  figcaption {{ margin-top: 1em; }}
  small {{ color: #555; }}
  @media print {{ @page {{ size: 297mm 167mm; margin: 0; }} }}
</style>
<main>
{slides}
</main>
<script>
  const slides = [...document.querySelectorAll("section")];
  const steps = {{ ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 }};
  addEventListener("keydown", (event) => {{
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const at = slides.findIndex((slide) => slide.getBoundingClientRect().bottom > innerHeight / 2);
    slides[Math.min(Math.max(at + step, 0), slides.length - 1)].scrollIntoView();
  }});
</script>
</html>
"""


def pictures(chapter: Chapter) -> dict[str, str]:
    """Return the figures that a chapter kept, by name, as base64 of PNG."""
    found = {}
    for output in (o for c in chapter.notebook.cells for o in c.get("outputs", [])):
        name = output.get("metadata", {}).get("scrapbook", {}).get("name")
        images = [data for mime, data in output.get("data", {}).items() if mime.endswith("image/png")]
        if name and images:
            found[name] = images[0].strip().replace("\n", "")
    return found


def slides(known: dict[str, Chapter], book: Path) -> list[str]:
    """Return the slides of all chapters, as HTML sections."""
    cite, markdown, made = citations(book / "references.bib"), MarkdownIt(), []
    for chapter in known.values():
        say = lambda text, stem=chapter.stem: markdown.render(plain(text, known, stem, cite))  # noqa: E731
        words = re.sub(r"<a [^>]*>(.*?)</a>", r"\1", say(f"{chapter.claim}\n\n{chapter.opening}"))
        made.append(f"<section><h1>{chapter.number}  {escape(chapter.title)}</h1>\n{words}</section>")
        kept = pictures(chapter)
        prose = "\n\n".join(c.source for c in chapter.notebook.cells if c.cell_type == "markdown")
        for name, options, caption in FIGURE.findall(prose):
            if name not in kept:
                continue
            alt = escape(dict(re.findall(r":(\w+): (.*)", options)).get("alt", ""), quote=True)
            picture = f'<img alt="{alt}" src="data:image/png;base64,{kept[name]}">'
            text = re.sub(r"<a [^>]*>(.*?)</a>", r"\1", say(caption))
            small = f"<small>{chapter.number}  {escape(chapter.title)}</small>"
            made.append(
                f"<section><figure>{picture}<figcaption>{text}{small}</figcaption></figure></section>"
            )
    return made


if __name__ == "__main__":
    out = Path(sys.argv[1])
    found = slides(chapters(ROOT), ROOT / "book")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(PAGE.format(slides="\n".join(found)), encoding="utf-8")
    print(f"{len(found)} slides in {out}")
