"""Fetching and checking against servers of this machine: resumed, verified, unpacked, and only where allowed."""

import hashlib
import http.server
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mini import mmdocir, mmlongbench_doc

from corehead_lib.cli import main
from corehead_lib.datasets import manifest, real
from corehead_lib.datasets.check import check, verified
from corehead_lib.datasets.fetch import fetch
from corehead_lib.datasets.manifest import DataFile, Manifest
from corehead_lib.errors import CoreheadError

CONTENT = bytes(range(256)) * 4000  # a megabyte
SHA = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """Serves ``files`` with ranges and tags, as data hosts do; ``cut`` ends each answer after so many bytes."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    cut: int | None = None
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    known: list[Server] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state = known[0]
            content = state.files.get(self.path)
            state.asked.append(self.headers.get("Range"))
            if content is None:
                self.send_error(404)
                return
            tag = f'"{hashlib.md5(content).hexdigest()}"'
            start = 0
            if self.headers.get("Range") and self.headers.get("If-Range") == tag:
                start = int(re.findall(r"\d+", self.headers["Range"])[0])
            self.send_response(206 if start else 200)
            self.send_header("ETag", tag)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start:][: state.cut])

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        known.append(Server(f"http://127.0.0.1:{service.server_port}"))
        yield known[0]
        service.shutdown()


def dataset(*files: DataFile, **fields) -> Manifest:
    basic = {
        "kind": "dataset",
        "description": "d",
        "source": "s",
        "licence": "MIT",
        "format": "f",
        "fetch": "open",
    }
    return Manifest(**{"name": "set", **basic, "files": files, **fields})


def file(url: str, **fields) -> DataFile:
    return DataFile(**{"path": "a.bin", "holds": "bytes", "url": url, **fields})


def test_a_file_is_fetched_verified_and_not_fetched_twice(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = CONTENT
    wanted = dataset(file(f"{server.url}/a.bin", sha256=SHA, size=len(CONTENT)))
    fetch(wanted, tmp_path)
    fetch(wanted, tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert server.asked == [None]
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]
    assert verified(check(wanted, tmp_path))


def test_a_broken_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = CONTENT
    server.cut = 300_000
    wanted = dataset(file(f"{server.url}/a.bin", sha256=SHA))
    with pytest.raises(CoreheadError, match=r"Fetching .* failed: .*Run it again, it goes on"):
        fetch(wanted, tmp_path)
    assert not (tmp_path / "a.bin").exists()
    server.cut = None
    fetch(wanted, tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-"]


def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = b"old" * 300_000
    server.cut = 300_000
    wanted = dataset(file(f"{server.url}/a.bin", sha256=SHA))
    with pytest.raises(CoreheadError):
        fetch(wanted, tmp_path)
    server.files["/a.bin"], server.cut = CONTENT, None
    fetch(wanted, tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("fields", [{"sha256": "0" * 64}, {"size": 5}])
def test_a_file_that_is_not_what_the_manifest_says_is_refused(
    fields: dict, server: Server, tmp_path: Path
) -> None:
    server.files["/a.bin"] = CONTENT
    with pytest.raises(CoreheadError):
        fetch(dataset(file(f"{server.url}/a.bin", **fields)), tmp_path)


def test_a_missing_file_is_an_error_with_its_address(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CoreheadError, match=r"Fetching http.*/none failed: .*404"):
        fetch(dataset(file(f"{server.url}/none")), tmp_path)


def test_an_archive_is_unpacked_once(tmp_path: Path) -> None:
    source, folder = tmp_path / "images.tar.gz", tmp_path / "set"
    with tarfile.open(source, "w:gz") as bundle:
        member = tarfile.TarInfo("images/one.txt")
        member.size = 3
        bundle.addfile(member, io.BytesIO(b"one"))
    wanted = dataset(file(source.as_uri(), path="images.tar.gz", unpack=True))
    said: list[str] = []
    for _ in range(2):
        fetch(wanted, folder, say=said.append)
    assert (folder / "images" / "one.txt").read_text() == "one"
    assert said.count("unpacking images.tar.gz") == 1


def test_only_chosen_and_optional_files_wait_to_be_asked_for(server: Server, tmp_path: Path) -> None:
    server.files |= {"/a.bin": b"a", "/big.bin": b"big"}
    wanted = dataset(
        file(f"{server.url}/a.bin"), file(f"{server.url}/big.bin", path="big.bin", optional=True)
    )
    fetch(wanted, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]
    fetch(wanted, tmp_path, only=("big*",))
    assert (tmp_path / "big.bin").read_bytes() == b"big"
    with pytest.raises(CoreheadError, match=r"no file c\*. Known: a.bin, big.bin"):
        fetch(wanted, tmp_path, only=("c*",))


def test_licences_decide(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = b"a"
    one = file(f"{server.url}/a.bin")
    with pytest.raises(CoreheadError, match="not fetched by a command"):
        fetch(dataset(one, fetch="by hand"), tmp_path, accept_terms=True)
    terms = dataset(one, fetch="terms", licence="CC BY-NC 4.0", licence_conflict="the hub says MIT")
    with pytest.raises(CoreheadError, match=r"CC BY-NC 4.0; the hub says MIT\. .*--accept-terms"):
        fetch(terms, tmp_path)
    assert server.asked == []
    fetch(terms, tmp_path, accept_terms=True)
    assert (tmp_path / "a.bin").exists()


HUB = """
import hashlib, http.server, json, sys, threading
FILES = {"data/test-0.parquet": b"rows", "data/train-0.parquet": b"no", "README.md": b"no", "x.safetensors": b"w"}
class Hub(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self): self.answer(False)
    def do_GET(self): self.answer(True)
    def answer(self, body):
        path = self.path.split("?")[0]
        if "/resolve/" in path:
            content = FILES[path.split("/resolve/")[1].split("/", 1)[1]]
        else:
            content = json.dumps({"id": "some/set", "sha": "a" * 40,
                "siblings": [{"rfilename": n, "size": len(c)} for n, c in FILES.items()]}).encode()
            if "/tree/" in path:
                content = json.dumps([{"type": "file", "path": n, "size": len(c), "oid": "0" * 40} for n, c in FILES.items()]).encode()
        self.send_response(200)
        self.send_header("ETag", '"' + hashlib.md5(content).hexdigest() + '"')
        self.send_header("X-Repo-Commit", "a" * 40)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body: self.wfile.write(content)
    def log_message(self, *_): pass
service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=service.serve_forever, daemon=True).start()
import os
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{service.server_port}"
from pathlib import Path
from corehead_lib.datasets.fetch import fetch
from corehead_lib.datasets.manifest import DataFile, Manifest
basic = dict(description="d", source="s", licence="MIT", format="f", fetch="open")
fetch(Manifest(name="set", kind="dataset", files=(DataFile(path="data/test-*.parquet", holds="rows", hub="some/set"),), **basic), Path(sys.argv[1]))
fetch(Manifest(name="model", kind="model", hub="some/model", **basic), Path(sys.argv[2]))
"""


def test_files_of_the_hub_come_by_pattern(tmp_path: Path) -> None:
    folders = [tmp_path / "set", tmp_path / "model"]
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-c", HUB, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = [
        sorted(str(p.relative_to(f)) for p in f.rglob("*") if p.is_file() and ".cache" not in p.parts)
        for f in folders
    ]
    assert found == [["data/test-0.parquet"], ["x.safetensors"]]


def corehead(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["data", *map(str, arguments)])


def test_list_names_everything_with_its_licence_to_fetch() -> None:
    lines = corehead("list").output.splitlines()
    assert any(line.split()[:3] == ["vidstg", "by", "hand"] for line in lines)
    assert any(line.split()[:2] == ["qwen3-vl-8b", "open"] for line in lines)
    assert corehead("list", "--markdown").output.startswith("## Datasets")


def test_check_counts_records_and_compares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(real.VARIABLE, str(tmp_path))
    assert "no dataset in" in corehead("check").output
    mmdocir.build(tmp_path / "mmdocir")
    result = corehead("check")
    assert result.exit_code == 1  # seven records are not 1,658
    assert re.search(r"WRONG +records: 7, expected 1,658", result.output)
    assert re.search(r"WRONG +MMDocIR_annotations.jsonl: [\d,]+ bytes, expected 770,024", result.output)
    assert "Not as the manifest says: mmdocir." in result.output
    mmlongbench_doc.build(tmp_path / "elsewhere")
    other = corehead("check", "mmlongbench-doc", "--data-dir", tmp_path / "elsewhere")
    assert re.search(r"records: 10, expected 1,082", other.output)
    assert corehead("check", "--data-dir", tmp_path).exit_code == 2


def test_check_is_content_with_a_set_that_is_as_its_manifest_says(tmp_path: Path) -> None:
    mmlongbench_doc.build(tmp_path)
    content = (tmp_path / "samples.json").read_bytes()
    known = DataFile(
        path="samples.json", holds="q", size=len(content), sha256=hashlib.sha256(content).hexdigest()
    )
    expected = {"records": 10, "groups": 4}
    good = dataset(known, name="mmlongbench-doc", expected=expected)
    findings = check(good, tmp_path)
    assert verified(findings)
    assert findings[0].status == "ok"
    (tmp_path / "samples.json").write_bytes(content.replace(b"7", b"8", 1))  # the same size
    assert [f.subject for f in check(good, tmp_path) if f.status == "WRONG"] == ["samples.json"]
    entries = json.loads(content)[1:]
    (tmp_path / "samples.json").write_text(json.dumps(entries))
    assert {f.subject for f in check(good, tmp_path) if f.status == "WRONG"} == {"samples.json", "records"}


def test_fetch_puts_a_dataset_where_the_variable_says(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import yaml

    server.files["/a.bin"] = CONTENT
    monkeypatch.setenv(real.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(manifest, "FOLDER", tmp_path)
    entry = dataset(file(f"{server.url}/a.bin", sha256=SHA)).model_dump(mode="json")
    (tmp_path / "set.yaml").write_text(yaml.safe_dump(entry))
    assert corehead("fetch", "set").exit_code == 0
    assert (tmp_path / "cache" / "set" / "a.bin").read_bytes() == CONTENT
    assert corehead("fetch", "set", "--data-dir", tmp_path / "other").exit_code == 0
    assert (tmp_path / "other" / "a.bin").exists()
    result = corehead("fetch", "sett")
    assert result.exit_code == 1
    assert "Did you mean 'set'?" in result.output


def test_data_commands_do_not_import_torch() -> None:
    code = (
        "import sys; from corehead_lib.cli import main\n"
        "main(['data', '--help'], standalone_mode=False)\n"
        "main(['data', 'list'], standalone_mode=False)\n"
        "assert not {'torch', 'transformers', 'pyarrow', 'av', 'requests', 'huggingface_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
