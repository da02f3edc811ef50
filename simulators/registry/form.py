"""The forms of the contract, as the registry reads them: strict, nothing unknown."""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(min_length=1, max_length=400)]


class Form(BaseModel):
    """Unknown fields are refused, and no text is taken for a number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Vintage(Form):
    """What is asked for of one fiscal year."""

    fiscal_year: Annotated[int, Field(ge=2000, le=2999)]
    tonnes: Annotated[int, Field(ge=1, le=999_999_999)]
    energy_wh: int
    energy_mwh: Annotated[str, Field(pattern=r"^-?[0-9]+\.[0-9]{6}$")]


class IssuanceRequest(Form):
    """A request for the credits of one claim."""

    claim: Text
    project: Text
    project_name: Text
    account: Text
    scheme: Literal["DEMO"]
    kind: Literal["JC", "JCL"]
    methodology: Text
    start: Annotated[date, Field(strict=False)]
    end: Annotated[date, Field(strict=False)]
    tonnes: Annotated[int, Field(ge=1)]
    vintages: Annotated[list[Vintage], Field(min_length=1, max_length=100)]
    report_sha256: Hash
    statement_sha256: Hash

    @model_validator(mode="after")
    def adds_up(self) -> "IssuanceRequest":
        """Years once, their sum the total, a period with a day in it."""
        if self.start >= self.end:
            raise ValueError("the period's end is exclusive and must lie after its start")
        if len({v.fiscal_year for v in self.vintages}) != len(self.vintages) or sum(v.tonnes for v in self.vintages) != self.tonnes:
            raise ValueError("vintages must name each fiscal year once and add up to tonnes")
        return self


class SerialBlock(Form):
    """Serials from first to last, both in it."""

    first: str
    last: str
    tonnes: int


class Issuance(Form):
    """What the registry answers, and keeps, for a key."""

    key: str
    request_sha256: Hash
    account: str
    blocks: list[SerialBlock]
    issued_at: str


class Registration(Form):
    """An activity that some programme has, for a period, end exclusive."""

    activity_key: Hash
    programme: Text
    start: Annotated[date, Field(strict=False)]
    end: Annotated[date, Field(strict=False)]


class EnquiryRequest(Form):
    """Has another programme these activities in this period?"""

    activity_keys: Annotated[list[Hash], Field(min_length=1, max_length=100_000)]
    start: Annotated[date, Field(strict=False)]
    end: Annotated[date, Field(strict=False)]


class Enquiry(Form):
    """The dated answer."""

    enquiry: str
    answered_at: str
    question_sha256: Hash
    hits: list[Registration]


class Holdings(Form):
    """The blocks that an account has."""

    account: str
    tonnes: int
    blocks: list[SerialBlock]


class Problem(Form):
    """Why something is refused."""

    detail: str
