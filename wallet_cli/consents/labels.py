"""Words for what messages name by codes: procedures by the catalogue, purposes and kinds of data by DPV.

Where a vocabulary has no word in the reader's language, its own is shown and the language is named:
nobody is left with an address of a term.
"""

from collections.abc import Mapping
from functools import cache

from consent.procedure.entry import bundled
from consent.procedure.vocabulary import vocabulary
from wallet_cli.terminal import plain
from wallet_cli.texts import Texts


def procedure(texts: Texts, name: str) -> str:
    """Our word, else the catalogue's, else the name itself."""
    known = texts.get(f"procedure.{name}") or texts.pick(_catalogue().get(name, {}))
    return plain(known or name)


def term(texts: Texts, iri: str) -> str:
    """Of a purpose or a category of personal data."""
    found = vocabulary().terms.get(iri)
    if found is None:
        return plain(iri)
    label = found.label_in(texts.language)
    text = plain(label.text)
    return text if label.language == texts.language else texts("label.other_language", text=text, code=label.language)


def attribute(texts: Texts, name: str, category: str | None = None) -> str:
    """Our word; else what kind of data it is, with its name; else the name itself."""
    known = texts.get(f"attribute.{name}")
    if known is None and category is not None:
        return texts("label.attribute", category=term(texts, category), name=plain(name))
    return known or plain(name)


@cache
def _catalogue() -> Mapping[str, Mapping[str, str]]:
    return {entry.id: entry.name for entry in bundled()}
