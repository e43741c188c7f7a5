"""What a failed fetch means and what to do about it, in one line each.

An error's own text never goes into a message: it may hold a token, a signed address or a proxy's password.
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
            f"{repository.name} is gated and {token}: accept its licence at {hub}/{repository.name} with your account, "
            "then set HF_TOKEN to a token of that account that may read gated repositories, and run again"
        )
    elif isinstance(error, errors.RevisionNotFoundError):
        text = f"{repository.name} has no revision {repository.revision} on {hub}: mend {key}.revision"
    elif isinstance(error, errors.RepositoryNotFoundError):
        text = f"{repository.name} is not on {hub}, or is private and {token}: mend {key}.name, or set HF_TOKEN"
    elif isinstance(error, errors.HFValidationError):
        text = f"{key}.name: '{repository.name}' cannot be the name of a repository; it takes owner/name"
    elif isinstance(error, errors.HfHubHTTPError):
        text = explain_status(error.response.status_code, repository, hub)
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        text = f"{repository}: {cache} is full: make room or raise your quota, or set the key cache to a larger disk"
    elif isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError | TimeoutError):
        text = f"{repository}: {cache}: {error.strerror}: set the key cache to a folder that can be written"
    else:
        text = (
            f"{repository} was not fetched whole from {hub} ({reason(error)}): run again where there is a network, "
            f"and only what is missing is fetched; without one, set {key}.source to files of your own"
        )
    return StudyError(text)


def explain_status(status: int, repository: Repository, hub: str) -> str:
    """The message for an HTTP status that says no more."""
    if status == 401:
        return f"{hub} does not accept your token (401) for {repository.name}: set HF_TOKEN to a valid one, or unset it"
    if status == 403:
        return (
            f"{hub} forbids access to {repository.name} (403): set HF_TOKEN to a token that may read it "
            "(a fine-grained token needs the permission for gated repositories)"
        )
    if status == 429 or status >= 500:
        return f"{hub} is overloaded or down ({status}, after several tries) for {repository}: run again later"
    return f"{hub} answers {status} for {repository}: check config.yaml: {repository.key}, and HF_ENDPOINT if it is set"


def hub_address() -> str:
    """The hub's address, without a name and password that it may hold."""
    from huggingface_hub import constants

    parts = urlsplit(constants.ENDPOINT)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def reason(error: BaseException) -> str:
    """Why there was no answer, or no whole one, from the chain of errors behind it."""
    import httpx2
    from huggingface_hub.errors import FileMetadataError

    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    foreign = "something other than a hub answers; see HF_ENDPOINT and your proxy"
    reasons = {
        socket.gaierror: "its name is not resolved: no network, or no DNS",
        ConnectionRefusedError: "connection refused",
        ssl.SSLError: "its certificate is not trusted; SSL_CERT_FILE names others",
        httpx2.ProxyError: "the proxy refuses; see HTTPS_PROXY",
        (TimeoutError, httpx2.TimeoutException): "no answer in time",
        (httpx2.RemoteProtocolError, httpx2.ReadError, ConnectionError): "the connection broke off",
        (FileMetadataError, json.JSONDecodeError, KeyError): foreign,
        OSError: "a file was cut short",
    }
    for kind, words in reasons.items():
        if any(isinstance(link, kind) for link in chain):
            return words
    return type(error).__name__
