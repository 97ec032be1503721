"""The hub's own client against a local server that answers its requests, for small files."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from anymic.sharing import pull, push
from anymic.sharing.places import SharingError

pytest.importorskip("huggingface_hub")

GOLDEN = Path(__file__).parents[1] / "golden"
COMMIT = "1" * 40


class Hub(BaseHTTPRequestHandler):
    """Repositories in memory; see https://huggingface.co/docs/hub/api."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]
    asked: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append(f"POST {self.path.split('?')[0]}")
        if self.path == "/api/repos/create":
            assert json.loads(body)["name"] == "birds"
            self.give({"url": f"http://{self.headers['Host']}/owner/birds"})
        elif self.path == "/api/validate-yaml":
            self.give({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            paths = [one["path"] for one in json.loads(body)["files"]]
            answer = [
                {"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths
            ]
            self.give({"files": answer})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    value = line["value"]
                    self.files[value["path"]] = base64.b64decode(value["content"])
            url = f"http://{self.headers['Host']}/owner/birds/commit/{COMMIT}"
            self.give({"commitUrl": url, "commitOid": COMMIT})
        else:
            self.give({}, status=404)

    def do_HEAD(self) -> None:
        self.resolve(body=False)

    def do_GET(self) -> None:
        if self.path.startswith("/api/models/owner/birds"):
            self.give({"id": "owner/birds", "sha": COMMIT, "siblings": []})
        else:
            self.resolve(body=True)

    def resolve(self, *, body: bool) -> None:
        self.asked.append(f"{self.command} {self.path}")
        name = self.path.partition("/resolve/")[2].partition("/")[2]
        data = self.files.get(name)
        if data is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def give(self, value: object, *, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Hub]]:
    class Own(Hub):
        files: dict[str, bytes] = {}  # noqa: RUF012
        asked: list[str] = []  # noqa: RUF012

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    yield Own
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["basic1", "ensemble"])
def test_push_and_pull_through_the_hub(name: str, hub: type[Hub], tmp_path: Path) -> None:
    push(GOLDEN / name, "hf://owner/birds", license_name="apache-2.0")
    wanted = {
        str(path.relative_to(GOLDEN / name)): path.read_bytes()
        for path in (GOLDEN / name).rglob("*")
        if path.is_file()
    }
    assert {"README.md", "MODEL_CARD.md"} == set(hub.files) - set(wanted)
    assert hub.files["README.md"].startswith(b"---\nlicense: apache-2.0\n")
    commits = [one for one in hub.asked if "/commit/" in one]
    assert len(commits) == 1, "all files are one commit"
    out = pull("hf://owner/birds@main", tmp_path / "out")
    found = {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }
    del found["MODEL_CARD.md"]
    assert found == wanted


def test_a_model_without_a_card_leaves_nothing_beside_it(hub: type[Hub], tmp_path: Path) -> None:
    push(GOLDEN / "basic1", "hf://owner/birds")
    del hub.files["MODEL_CARD.md"]
    out = pull("hf://owner/birds", tmp_path / "out")
    assert {path.name for path in out.rglob("*")} == {
        path.name for path in (GOLDEN / "basic1").rglob("*")
    }


def test_a_model_that_is_not_there_is_one_line(hub: type[Hub], tmp_path: Path) -> None:
    with pytest.raises(SharingError, match=r"hf://owner/birds/bundle\.json cannot be reached"):
        pull("hf://owner/birds", tmp_path / "out")
