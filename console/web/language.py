"""Japanese or English: by `?lang=`, else the cookie, else what the browser asks for, else Japanese. The words are data: `words.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

COOKIE = "jcredit_lang"


class Language(StrEnum):
    JA = "ja"
    EN = "en"

    @property
    def other(self) -> "Language":
        return Language.EN if self is Language.JA else Language.JA


def chosen(query: str | None, cookie: str | None, accept: str | None) -> Language:
    """The language of an answer; what is not known is passed over."""
    for asked in (query, cookie):
        if asked in ("ja", "en"):
            return Language(asked)
    return next((Language(name) for name in _wishes(accept or "") if name in ("ja", "en")), Language.JA)


def _wishes(accept: str) -> list[str]:
    """Main languages of an Accept-Language header, the dearest first."""
    wishes = []
    for part in accept[:1000].split(","):
        name, _, rest = part.strip().partition(";")
        wishes.append((-_weight(rest.strip()), name.strip().lower().split("-")[0]))
    return [name for weight, name in sorted(wishes, key=lambda wish: wish[0]) if weight < 0]


def _weight(text: str) -> float:
    try:
        return float(text.removeprefix("q=")) if text else 1.0
    except ValueError:
        return 0.0


@cache
def words() -> Mapping[str, tuple[str, str]]:
    """Every text of the pages by its key: Japanese, English."""
    table = tomllib.loads(files("console.web").joinpath("words.toml").read_text(encoding="utf-8"))
    return {key: (ja, en) for key, (ja, en) in table.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Speech:
    """Says a text by its key in one language; an unknown key is a bug."""

    language: Language

    def __call__(self, key: str, **values: object) -> str:
        return self.of(*words()[key]).format(**values)

    def of(self, ja: str, en: str) -> str:
        return ja if self.language is Language.JA else en
