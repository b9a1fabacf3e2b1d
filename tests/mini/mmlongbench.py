"""MMLongBench in miniature: one file of each kind, at 8 thousand tokens in name."""

import json
from pathlib import Path

from mini.paint import painted, save

LENGTH = 8
RED = (8, 8, 24, 24)


def page(doc: str, number: int) -> str:
    return f"documentQA/mmlongdoc/{doc}/{doc}_page{number}.jpg"


def slide(deck: str, number: int) -> str:
    return f"documentQA/slidevqa/{deck}/{deck}-{number}-1024.jpg"


def question(id: int, pages: list[str], answer_pages: list[int], doc: str, form: str = "Integer") -> dict:
    return {
        "id": id,
        "doc_name": doc,
        "question": "How many?",
        "answer": "Not answerable" if form == "None" else 7,
        "answer_format": form,
        "page_list": pages,
        "ans_page_list": answer_pages,
    }


RED_IMAGES = {page("report", 5), slide("deck-2", 4), "vh/needle.jpg", "mm-niah/img2.jpg"}
MMLONGDOC = [
    question(0, [page("other", 5), page("report", 4), page("report", 5), page("report", 6)], [5], "report"),
    question(1, [page("report", 5), page("report", 6)], [5, 20], "report"),  # page 20 was cut off
    question(2, [page("report", 4), page("other", 5)], [5], "report"),  # the only one was
    question(3, [page("report", 4)], [], "report", "None"),
    question(4, [page("report", 5), "../../secret.jpg"], [5], "report"),
]
SLIDEVQA = [question(0, [slide("deck-2", n) for n in (3, 4, 5)] + [slide("deck", 4)], [3], "deck-2")]


def passages(right: int) -> list[dict]:
    return [
        {"title": f"T{i}", "text": f"Passage {i} \ufffcof text.", "doc_id": f"d{i}"} for i in (7, right, 9)
    ]


VRAG = [
    {"id": id, "image": "vrag/who.jpg", "question": "Who made this?", "original_question": "Who made the tower?",
     "answer": ["Ada", "Ada L."], "ctxs": passages(right), "positive_ctxs": [{"doc_id": "d3"}], "depth": depth}
    for id, right in ((1, 3), (2, 4))
    for depth in (0.0, 0.5, 1.0)
]  # fmt: skip
CROWD = ["vh/a.jpg", "vh/needle.jpg", "vh/b.jpg"]
HAYSTACK = [
    {"id": 0, "ctxs": CROWD, "question": "Is there a dog beside the cat?", "answer": "yes", "depth": 0.4,
     "needle_path": "vh/needle.jpg"},
    {"id": 1, "ctxs": CROWD[1:], "question": "Is there a dog?", "answer": 0, "depth": 0.0},
    {"id": 2, "ctxs": CROWD, "question": "Is there a dog?", "answer": "no", "depth": 0.4},  # could be 0 or 1
    {"id": 3, "ctxs": CROWD, "question": "Is there a dog?", "answer": "no", "depth": 40},
]  # fmt: skip
TEXT = [{"text": "Hay. <image> More hay."}, {"text": "The secret is an oak. Hay. <image>"}]
IMAGES = ["mm-niah/img1.jpg", "mm-niah/img2.jpg"]
PIECES = [
    {"type": "text", "text": "Hay.", "len": 2},
    {"type": "image", "text": "<image>"},
    {"type": "text", "text": "The secret is an oak. Hay.", "len": 9, "has_answer": True},
    {"type": "image", "text": "<image>", "has_ans": True},
]  # as the published files have them
NIAH_TEXT = [
    {"id": 0, "ctxs": TEXT, "image_list": IMAGES, "question": "What is the secret?", "answer": "oak",
     "depth": [0.5], "meta": {"needles": ["The secret is an oak."]}},
    {"id": 4, "ctxs": PIECES, "image_list": IMAGES, "question": "What is the secret?", "answer": "oak", "depth": 0.5,
     "positive_ctxs": [{"type": "text", "text": "The secret is an oak.", "len": 6}]},
    {"id": 1, "ctxs": TEXT, "image_list": IMAGES, "question": "What is the secret?", "answer": "oak", "depth": [0.5]},
    {"id": 2, "ctxs": TEXT, "image_list": IMAGES, "question": "What is it?", "answer": "ay", "depth": [0.5]},
    {"id": 3, "ctxs": TEXT, "image_list": IMAGES[:1], "question": "What?", "answer": "oak", "depth": [0.5]},
]  # fmt: skip
NIAH_IMAGE = [
    {"id": 0, "ctxs": TEXT, "image_list": IMAGES, "question": "Which picture was pasted in?", "answer": 1,
     "choices_image": ["mm-niah/choice0.jpg", "mm-niah/choice1.jpg"], "depth": [0.9], "needle_image": "mm-niah/img2.jpg"},
    {"id": 2, "ctxs": PIECES, "image_list": IMAGES, "question": "Which?", "answer": 0,
     "choices_image": ["mm-niah/choice0.jpg", "mm-niah/choice1.jpg"], "depth": [0.9]},
    {"id": 1, "ctxs": TEXT, "image_list": IMAGES, "question": "Which?", "answer": 0,
     "choices_image": ["mm-niah/choice0.jpg", "mm-niah/choice1.jpg"], "depth": [0.9]},
]  # fmt: skip
NIAH_COUNT = [
    {"id": 0, "ctxs": TEXT, "image_list": IMAGES, "question": "How often is <image> in each?", "answer": [0, 2],
     "needle_image_list": ["mm-niah/choice0.jpg"], "depth": [0.9],
     "positive_ctxs": [{"type": "image", "text": "<image>", "image": name, "has_ans": True} for name in ("img1.jpg", "img2.jpg")]},
]  # fmt: skip
ICL = {
    "cars": {
        "exemplar_list": [
            [[{"image": "icl/a.jpg", "id": 4}, {"image": "icl/b.jpg", "id": 6}], [{"image": "icl/c.jpg", "id": 4}]]
        ],
        "test_example": [{"image": "icl/d.jpg", "answer": "6"}],
    }
}  # fmt: skip
SUMM = [{"id": 0, "image_list": [page("report", 4), page("report", 5)],
         "summary": [{"section_title": "What", "paragraphs": ["One.", "Two."]}]}]  # fmt: skip

FILES = {
    "documentQA/mmlongdoc_K8.jsonl": MMLONGDOC,
    "documentQA/slidevqa_K8.jsonl": SLIDEVQA,
    "documentQA/slidevqa_K16.jsonl": SLIDEVQA * 3,  # another length
    "vrag/viquae_K8_dep3.jsonl": VRAG,
    "NIAH/vh_single_test_1000_K8_dep6.jsonl": HAYSTACK,
    "NIAH/retrieval-text_test_K8_dep6.jsonl": NIAH_TEXT,
    "NIAH/retrieval-image_test_K8_dep6.jsonl": NIAH_IMAGE,
    "NIAH/counting-image_test_K8_dep3.jsonl": NIAH_COUNT,
    "summ/gov-report_K8.jsonl": SUMM,
}
PICTURES = [
    *(page(d, n) for d in ("report", "other") for n in (4, 5, 6)),
    *(slide("deck-2", n) for n in (3, 4, 5)),
    slide("deck", 4),
    *CROWD,
    *IMAGES,
    "mm-niah/choice0.jpg",
    "mm-niah/choice1.jpg",
    "vrag/who.jpg",
    *(f"icl/{letter}.jpg" for letter in "abcd"),
]


def build(folder: Path, more: int = 0) -> Path:
    """mmlb_data/ and mmlb_image/, as the archives unpack; ``more`` documents and needles in text."""
    docs = [f"more{i}" for i in range(more)]
    added = {
        "documentQA/mmlongdoc_K8.jsonl": [
            question(10 + i, [page("other", 5), page(d, 5)], [5], d) for i, d in enumerate(docs)
        ],
        "NIAH/retrieval-text_test_K8_dep6.jsonl": [NIAH_TEXT[0] | {"id": 10 + i} for i in range(more)],
    }
    for doc in docs:
        save(painted((32, 32), RED), folder / "mmlb_image" / page(doc, 5))
    for name, old in FILES.items():
        entries = old + added.get(name, [])
        path = folder / "mmlb_data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(json.dumps(entry) for entry in entries) + "\n")
    (folder / "mmlb_data" / "ICL").mkdir(exist_ok=True)
    (folder / "mmlb_data" / "ICL" / "cars196_K8.json").write_text(json.dumps(ICL))
    for name in PICTURES:
        save(painted((32, 32), RED if name in RED_IMAGES else None), folder / "mmlb_image" / name)
    return folder
