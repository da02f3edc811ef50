"""Migrations are applied in order, once, and a history that is not this checkout's is refused with the way out."""

from pathlib import Path

import pytest

from deploy.migrate import FOLDER, Migration, MigrationError, pending, read

ONE, TWO, THREE = (Migration(name=f"000{n}_x.sql", text=f"SELECT {n};") for n in (1, 2, 3))


def test_a_new_database_gets_all_in_order() -> None:
    assert pending([ONE, TWO], {}) == [ONE, TWO]


def test_what_was_applied_is_not_applied_again() -> None:
    assert pending([ONE, TWO], {ONE.name: ONE.sha256}) == [TWO]
    assert pending([ONE], {ONE.name: ONE.sha256}) == []


def test_a_file_that_changed_after_it_was_applied_is_refused_by_name() -> None:
    with pytest.raises(MigrationError, match=r"0001_x\.sql changed after it was applied.*fresh database"):
        pending([ONE], {ONE.name: "0" * 64})


def test_a_database_of_a_newer_checkout_is_refused() -> None:
    with pytest.raises(MigrationError, match=r"has 0002_x\.sql, which this checkout does not"):
        pending([ONE], {ONE.name: ONE.sha256, TWO.name: TWO.sha256})


def test_a_file_before_an_applied_one_is_refused() -> None:
    with pytest.raises(MigrationError, match=r"0002_x\.sql comes before 0003_x\.sql"):
        pending([ONE, TWO, THREE], {ONE.name: ONE.sha256, THREE.name: THREE.sha256})


def test_two_files_of_one_number_are_refused(tmp_path: Path) -> None:
    for name in ("0001_a.sql", "0001_b.sql"):
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(MigrationError, match="two migrations have the number 0001"):
        read(tmp_path)


def test_no_migration_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="not whole"):
        read(tmp_path)


def test_this_checkouts_migrations_are_numbered_without_repeats() -> None:
    assert [file.name[:4] for file in read(FOLDER)][:2] == ["0001", "0002"]
