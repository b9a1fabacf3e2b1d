"""Files of heads: written and read again, published ones read, and two compared by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from corehead_lib.bookkeeping.score_cli import heads
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head, HeadScores
from corehead_lib.scoring.head_files import HeadFile, compare

SCORES = HeadScores(np.array([[0.1, 0.7, 0.3], [0.9, 0.0, 0.2]]), {"model": "m", "seed": 3})


def test_ours_comes_back_and_says_what_the_docstring_says(tmp_path: Path) -> None:
    HeadFile.of(SCORES).save(tmp_path / "heads.json")
    said = json.loads((tmp_path / "heads.json").read_text())
    assert (said["format"], said["version"], said["layers"], said["heads"]) == ("corehead-heads", 1, 2, 3)
    assert said["ranking"][0] == {"layer": 1, "head": 0, "score": 0.9}
    found = HeadFile.load(tmp_path / "heads.json")
    assert found == HeadFile.of(SCORES)
    assert found.scores is not None
    np.testing.assert_array_equal(found.scores.score, SCORES.score)
    assert found.about == {"seed": 3}


def test_published_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "Some-7B.json"
    path.write_text('{"0-0": [0, 0.5], "0-1": [1, 1], "1-0": [0], "1-1": [0.5]}')
    copying = HeadFile.load(path)
    assert [head for head, _ in copying.ranking] == [(0, 1), (1, 1), (0, 0), (1, 0)]
    assert (copying.model, copying.layers, copying.heads) == ("Some-7B", 2, 2)
    listed = {"args": {"model": "Q/Q"}, "head_score_list": [["13-29", 0.7], ["15-11", 0.6]]}
    path.write_text(json.dumps(listed))
    some = HeadFile.load(path)
    assert some.ranking == ((Head(13, 29), 0.7), (Head(15, 11), 0.6))
    assert (some.model, some.layers, some.scores) == ("Q/Q", None, None)


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        "{}",
        '{"heads": [1]}',
        '{"head_score_list": [["13-29", 1], ["13-29", 1]]}',
        '{"format": "corehead-heads", "version": 2}',
        '{"format": "corehead-heads", "version": 1, "model": "m", "measure": "RAM", "layers": 1, "heads": 1,'
        ' "about": {}, "ranking": [{"layer": 1, "head": 0, "score": 1}]}',
    ],
)
def test_what_is_no_ranking_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(CoreheadError):
        HeadFile.load(tmp_path / "x.json")


def test_two_files_compared_by_hand(tmp_path: Path) -> None:
    one = HeadFile.of(SCORES)  # 1.0, 0.1, 0.2, 1.2, 0.0, 1.1
    other = HeadFile("m", "list", ((Head(0, 1), None), (Head(1, 1), None)))
    found = compare(one, other, 2)
    assert (found.top, found.shared) == (2, 1)
    assert found.expected == pytest.approx(4 / 6)
    assert found.p == pytest.approx(1 - (4 * 3) / (6 * 5))  # not both of two draws outside of the other's two
    assert np.isnan(found.spearman)
    assert compare(one, one, 3).spearman == pytest.approx(1)
    with pytest.raises(CoreheadError, match="has 2 heads"):
        compare(one, other, 3)
    with pytest.raises(CoreheadError, match="cannot be compared"):
        compare(one, HeadFile.of(HeadScores(SCORES.score.T)), 2)
    one.save(tmp_path / "a.json")
    other.save(tmp_path / "b.json")
    said = CliRunner().invoke(heads, [str(tmp_path / "a.json"), str(tmp_path / "b.json"), "--top", "2"])
    assert "1 of the first 2 heads shared, 0.7 by luck" in said.output
