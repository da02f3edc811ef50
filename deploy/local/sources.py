"""Which mirror and keyring the host's own apt sources name, in either of apt's two formats. The text is read here; nothing is changed."""

import re
from collections.abc import Iterator
from pathlib import Path

from deploy.local import MissingError

APT = Path("/etc/apt")


def stanza(suite: str, apt: Path = APT) -> str:
    """A deb822 stanza for `suite` on the host's own Debian mirror, with the host's keyring."""
    uri, keyring = mirror(apt)
    return "\n".join(["Types: deb", f"URIs: {uri}", f"Suites: {suite}", "Components: main", *([f"Signed-By: {keyring}"] if keyring else [])]) + "\n"


def mirror(apt: Path = APT) -> tuple[str, str | None]:
    """URI of the Debian archive and the keyring that its entry names, if it names one. Other makers have a `main` too; the archive is told by its path."""
    named = [(uri, keyring) for uri, suites, components, keyring in _entries(apt) if "main" in components and any(_is_archive(uri, suite) for suite in suites)]
    if not named:
        raise MissingError(f"no Debian mirror is named in {apt}/sources.list or sources.list.d, so the services can not be fetched: name one, or use Docker")
    return named[0]


def _is_archive(uri: str, suite: str) -> bool:
    return re.search(r"/debian(/\d+T\d+Z)?/?$", uri) is not None and re.search(r"security|backports|/", suite) is None


def release(file: Path = Path("/etc/os-release")) -> str:
    """Code name of the host's Debian release."""
    found = re.search(r'^VERSION_CODENAME="?([a-z]+)"?$', file.read_text() if file.exists() else "", re.MULTILINE)
    if not found:
        raise MissingError(f"{file} does not say which Debian release this machine has: use Debian 12 or newer, or Docker with `deploy/compose.yaml`")
    return found[1]


def _entries(apt: Path) -> Iterator[tuple[str, list[str], list[str], str | None]]:
    for file in sorted((apt / "sources.list.d").glob("*.sources")):
        yield from _deb822(file.read_text())
    for file in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]:
        if file.exists():
            yield from _one_line(file.read_text())


def _deb822(text: str) -> Iterator[tuple[str, list[str], list[str], str | None]]:
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for block in re.split(r"\n\s*\n", plain):
        fields = {key.lower(): value.strip() for key, value in re.findall(r"^([\w-]+):[ \t]*(.*(?:\n[ \t]+.*)*)", block, re.MULTILINE)}
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() != "no" and fields.get("uris"):
            keyring = fields.get("signed-by")
            yield fields["uris"].split()[0], fields.get("suites", "").split(), fields.get("components", "").split(), keyring


def _one_line(text: str) -> Iterator[tuple[str, list[str], list[str], str | None]]:
    for options, uri, suite, components in re.findall(r"^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)[ \t]*([^\n#]*)", text, re.MULTILINE):
        keyring = re.search(r"signed-by=(\S+)", options)
        yield uri, [suite], components.split(), keyring[1] if keyring else None
