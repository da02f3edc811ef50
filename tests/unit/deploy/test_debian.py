"""Of a closure only what programs load is taken, and unpacked links stay inside the folder."""

import re
from pathlib import Path

import pytest

from deploy.local import debian, timescaledb


@pytest.mark.parametrize(
    "package", ["postgresql-17", "postgresql-17-timescaledb", "postgresql-client-17", "libc6", "libssl3t64", "libicu76", "libgssapi-krb5-2"]
)
def test_what_postgres_loads_is_taken(package: str) -> None:
    assert debian._is_wanted(package, timescaledb.PACKAGES, timescaledb.ALSO)


@pytest.mark.parametrize(
    "package", ["libllvm19", "libz3-4", "libperl5.40", "libjson-perl", "perl", "adduser", "locales", "libc-bin", "postgresql-common", "debconf"]
)
def test_what_it_never_loads_is_not(package: str) -> None:
    assert not debian._is_wanted(package, timescaledb.PACKAGES, timescaledb.ALSO)


def test_an_absolute_link_is_turned_to_the_folder(tmp_path: Path) -> None:
    part, target = tmp_path / "x.part", tmp_path / "x"
    (part / "usr").mkdir(parents=True)
    (part / "usr" / "conf").symlink_to("/etc/maven")
    (part / "usr" / "beside").symlink_to("../etc/maven")
    debian._settle(part, target)
    assert (part / "usr" / "conf").readlink() == target / "etc/maven"
    assert (part / "usr" / "beside").readlink() == Path("../etc/maven")


def test_what_is_whole_and_in_its_place_is_not_fetched_again(tmp_path: Path) -> None:
    target = tmp_path / "programs" / "tool"
    target.mkdir(parents=True)
    (target / ".whole").write_text(debian._mark(target, ("tool",), "bookworm"))
    said: list[str] = []
    assert debian.unpack(tmp_path, tmp_path, "tool", packages=("tool",), suite="bookworm", also=re.compile("-"), say=said.append) == target
    assert said == []
