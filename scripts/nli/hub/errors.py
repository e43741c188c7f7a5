"""What a failed fetch means and what to do about it, in one line each.

A message never repeats an error's own text, which may contain a token, a signed address or a proxy's password.
"""

import errno
import json
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nli.base.errors import StudyError


@dataclass(frozen=True)
class Repository:
    """A repository of the hub at a pinned commit; `key` is where config.yaml names it, such as models.encoder."""

    kind: str  # model | dataset
    name: str
    revision: str
    key: str

    def __str__(self) -> str:
        return f"{self.name} at {self.revision}"


def explain(error: Exception, repository: Repository, cache: Path, has_token: bool) -> StudyError:
    """The message for an error of huggingface_hub, of its HTTP client or of the file system."""
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    key, hub = f"config.yaml: {repository.key}", hub_address()
    token = "your token has no access to it" if has_token else "no token was found"
    if isinstance(error, errors.GatedRepoError):
        text = (
            f"{repository.name} is gated and {token}; accept its licence at {hub}/{repository.name} with your account, "
            "set HF_TOKEN to a token of that account that may read gated repositories, and rerun"
        )
    elif isinstance(error, errors.RevisionNotFoundError):
        text = f"{repository.name} has no revision {repository.revision} on {hub}; correct {key}.revision"
    elif isinstance(error, errors.RepositoryNotFoundError):
        text = f"{repository.name} is not on {hub}, or is private and {token}; correct {key}.name, or set HF_TOKEN"
    elif isinstance(error, errors.HFValidationError):
        text = f"{key}.name: '{repository.name}' cannot be the name of a repository; use owner/name"
    elif isinstance(error, errors.HfHubHTTPError):
        text = explain_status(error.response.status_code, repository, hub)
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        text = (
            f"{repository}: {cache} is full; free some space, raise your quota, or set the key cache to a larger disk"
        )
    elif isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError | TimeoutError):
        text = f"{repository}: {cache}: {error.strerror}; set the key cache to a writable folder"
    else:
        text = (
            f"{repository} was not completely fetched from {hub} ({reason(error)}); rerun with a network, "
            f"which fetches only what is missing, or without one set {key}.source to your own files"
        )
    return StudyError(text)


def explain_status(status: int, repository: Repository, hub: str) -> str:
    """The message for an HTTP status without further information."""
    if status == 401:
        return f"{hub} rejects your token (401) for {repository.name}; set HF_TOKEN to a valid one, or unset it"
    if status == 403:
        return (
            f"{hub} forbids access to {repository.name} (403); set HF_TOKEN to a token that may read it "
            "(a fine-grained token needs the permission for gated repositories)"
        )
    if status == 429 or status >= 500:
        return f"{hub} is overloaded or down ({status}, after several tries) for {repository}; rerun later"
    return f"{hub} answers {status} for {repository}; check config.yaml: {repository.key}, and HF_ENDPOINT if it is set"


def hub_address() -> str:
    """The hub's address, without any user name and password."""
    from huggingface_hub import constants

    parts = urlsplit(constants.ENDPOINT)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def reason(error: BaseException) -> str:
    """Why there was no complete answer, from an error and its causes."""
    import httpx2
    from huggingface_hub.errors import FileMetadataError

    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    foreign = "the answer is not from a hub; check HF_ENDPOINT and your proxy"
    reasons = {
        socket.gaierror: "its name cannot be resolved: no network, or no DNS",
        ConnectionRefusedError: "connection refused",
        ssl.SSLError: "its certificate is not trusted; SSL_CERT_FILE can name further ones",
        httpx2.ProxyError: "the proxy refuses; check HTTPS_PROXY",
        (TimeoutError, httpx2.TimeoutException): "no answer in time",
        (httpx2.RemoteProtocolError, httpx2.ReadError, ConnectionError): "the connection was lost",
        (FileMetadataError, json.JSONDecodeError, KeyError): foreign,
        OSError: "a file is truncated",
    }
    for kind, words in reasons.items():
        if any(isinstance(link, kind) for link in chain):
            return words
    return type(error).__name__
