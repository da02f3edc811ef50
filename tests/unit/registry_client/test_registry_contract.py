"""The contract file, the simulator that implements it and the client that relies on it agree."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import registry_client
from registry_client import answer, enquiry
from registry_client.http import EnquiryBody
from simulators.registry import Store, form, make_app

CONTRACT: dict[str, Any] = json.loads((Path(registry_client.__file__).parent / "registry.openapi.json").read_text(encoding="utf-8"))
SCHEMAS = CONTRACT["components"]["schemas"]


@pytest.fixture
def served(tmp_path: Path) -> dict[str, Any]:
    return make_app(Store(tmp_path / "registry.sqlite")).openapi()


def test_the_simulator_serves_the_contract_and_nothing_more(served: dict[str, Any]) -> None:
    def paths(document: dict[str, Any]) -> set[tuple[str, str]]:
        return {(path, method) for path, methods in document["paths"].items() for method in methods}

    assert paths(served) == paths(CONTRACT)


def test_each_answer_that_the_contract_names_is_one_that_the_simulator_names(served: dict[str, Any]) -> None:
    for path, methods in CONTRACT["paths"].items():
        for method, operation in methods.items():
            assert set(operation["responses"]) <= set(served["paths"][path][method]["responses"])


@pytest.mark.parametrize("name", sorted(set(SCHEMAS) - {"Hash"}))
def test_each_form_has_the_same_fields(name: str) -> None:
    model = getattr(form, name).model_json_schema()

    assert set(SCHEMAS[name]["properties"]) == set(model["properties"])
    assert set(SCHEMAS[name]["required"]) == set(model["required"])


@pytest.mark.parametrize("name", sorted(set(SCHEMAS) - {"Hash"}))
def test_each_field_has_the_same_type(name: str) -> None:
    model = getattr(form, name).model_json_schema()

    for field, schema in SCHEMAS[name]["properties"].items():
        here = schema.get("type", "string" if schema.get("$ref", "").endswith("/Hash") else "object")
        assert model["properties"][field]["type"] == here, field


@pytest.mark.parametrize(
    ("read", "name"),
    [(answer.Answer, "Issuance"), (answer.SpelledBlock, "SerialBlock"), (EnquiryBody, "Enquiry"), (enquiry.Hit, "Registration")],
)
def test_the_client_reads_only_what_the_contract_promises(read: type, name: str) -> None:
    assert {f.name for f in fields(read)} <= set(SCHEMAS[name]["required"])
