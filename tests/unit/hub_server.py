"""A fake hub: a real HTTP server with the addresses, headers and refusals that huggingface_hub expects.

It answers `/api/{models,datasets}/ID/revision/REV` and `/[datasets/]ID/resolve/REV/FILE` (HEAD, GET, Range). Large
files are served as Git LFS is, with the SHA-256 in X-Linked-Etag and a redirect to storage on another host name, where
no token may arrive.
"""

import hashlib
import json
import re
import subprocess
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_secretsecretsecretsecret"
MODEL = {
    "config.json": b'{"model_type": "roberta"}',
    "tokenizer.json": b'{"version": "1.0"}',
    "merges.txt": b"a b\n",
    "model.safetensors": bytes(range(256)) * 4000,
    "pytorch_model.bin": b"\x80\x04pickle",
    "modeling_own.py": b"import os",
    "README.md": b"# model",
    "original/consolidated.safetensors": b"twice",
    "original/params.json": b"{}",
}
LARGE = (".safetensors", ".parquet", ".bin")


@dataclass
class StoredRepository:
    """A repository's files at one commit, and how the hub treats it."""

    files: dict[str, bytes]
    commit: str
    gated: bool = False
    readers: tuple[str, ...] = ()  # tokens that may read a gated repository
    sizes: dict[str, int] = field(default_factory=dict)  # sizes in the listing that are wrong on purpose


class Hub(ThreadingHTTPServer):
    """The server; set its attributes to make it fail. `requests` holds (method, path, headers) of each."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, StoredRepository] = {}  # "models/ID" or "datasets/ID"
        self.tokens: set[str] = set()  # the valid tokens
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.failures: list[int] = []  # statuses of the next requests
        self.cut_after: dict[str, int] = {}  # file -> bytes after which the connection breaks, once
        self.corrupt: dict[str, int] = {}  # file -> how many more times its bytes arrive changed
        self.page: bytes | None = None  # a captive portal's answer to every request

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def storage(self) -> str:
        return f"http://localhost:{self.server_port}/storage"

    def paths(self, method: str) -> list[str]:
        return [path for asked, path, _ in self.requests if asked == method]

    def downloads(self) -> list[str]:
        """The names of the files whose content was requested, from the storage too."""
        found = [path for path in self.paths("GET") if "/resolve/" in path or path.startswith("/storage/")]
        return [path.rpartition("/")[2] for path in found]

    def start(self) -> "Hub":
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append((self.command, path, {k.lower(): v for k, v in self.headers.items()}))
        if self.server.page is not None:
            return self.send(200, self.server.page, {"Content-Type": "text/html"})
        if self.server.failures:
            return self.send(self.server.failures.pop(0), b"")
        if path == "/api/agent-harnesses":  # requested by the telemetry, and saved in the home folder
            return self.send(200, b'{"standardEnvVars": ["AGENT"], "harnesses": {}}', {})
        listing = re.fullmatch(r"/api/((?:models|datasets)/.+)/revision/(.+)", path)
        file = re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        stored = re.fullmatch(r"/storage/((?:models|datasets)/[^/]+/[^/]+)/(.+)", path)
        if listing:
            return self.list_files(listing[1], listing[2])
        if file:
            return self.resolve((file[1] or "models/") + file[2], file[3], file[4])
        if stored:
            return self.send_content(self.server.repositories[stored[1]], stored[2], {})
        return self.refuse(404, "", "Not found")

    def token(self) -> str | None:
        return self.headers.get("Authorization", "").removeprefix("Bearer ") or None

    def find(self, key: str, revision: str) -> StoredRepository | None:
        """The repository, or None after the hub's own answer, which hides repositories that the user may not see."""
        if self.token() and self.token() not in self.server.tokens:
            # Hostile on purpose: the message repeats the token.
            self.refuse(401, "", "Invalid credentials in Authorization header", f"bad token {self.token()}")
        elif key not in self.server.repositories:
            self.refuse(404 if self.token() else 401, "RepoNotFound", "Repository not found")
        elif revision not in (self.server.repositories[key].commit, "main"):
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            return self.server.repositories[key]
        return None

    def list_files(self, key: str, revision: str) -> None:
        repository = self.find(key, revision)
        if repository is None:
            return
        siblings = []
        for name, content in repository.files.items():
            size = repository.sizes.get(name, len(content))
            entry = {"rfilename": name, "size": size, "blobId": git_sha1(content)}
            if name.endswith(LARGE):
                entry["lfs"] = {"size": size, "sha256": hashlib.sha256(content).hexdigest(), "pointerSize": 130}
            siblings.append(entry)
        body = {"_id": "0", "id": key.partition("/")[2], "sha": repository.commit, "siblings": siblings}
        self.send(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def resolve(self, key: str, revision: str, name: str) -> None:
        repository = self.find(key, revision)
        if repository is None:
            return
        if repository.gated and self.token() not in repository.readers:
            said = f"Access to model is restricted for {self.token()}"
            self.refuse(403 if self.token() else 401, "GatedRepo", "Access to model is restricted", said)
            return
        if name not in repository.files:
            self.refuse(404, "EntryNotFound", "Entry not found")
            return
        content = repository.files[name]
        headers = {"X-Repo-Commit": repository.commit}
        if name.endswith(LARGE):
            headers["X-Linked-Etag"] = f'"{hashlib.sha256(content).hexdigest()}"'
            headers["X-Linked-Size"] = str(len(content))
            headers["Location"] = f"{self.server.storage}/{key}/{name}"
            self.send(302, b"", headers)
        else:
            self.send_content(repository, name, {**headers, "ETag": f'"{git_sha1(content)}"'})

    def send_content(self, repository: StoredRepository, name: str, headers: dict[str, str]) -> None:
        content = repository.files[name]
        if self.command == "GET" and self.server.corrupt.get(name, 0) > 0:
            self.server.corrupt[name] -= 1
            content = bytes([content[0] ^ 1]) + content[1:]
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        if asked:
            headers = {**headers, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        self.send(206 if asked else 200, content[start:], headers, self.server.cut_after.pop(name, None))

    def refuse(self, status: int, code: str, message: str, body: str = "") -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message, "Content-Type": "application/json"}
        self.send(status, json.dumps({"error": body or message}).encode(), headers)

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True

    def log_message(self, *args) -> None:
        """Silence."""


def git_sha1(content: bytes) -> str:
    """The content's object id, as from `git hash-object`."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def error_of(done: subprocess.CompletedProcess) -> str:
    """The single line of error with which a failed script ends, without a traceback."""
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout
    assert done.stdout.count("error: ") == 1
    return done.stdout.splitlines()[-1]
