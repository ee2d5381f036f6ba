"""Lists of configuration ids in one column."""

from identity.codec import strict_json


def dump(configurations: tuple[str, ...]) -> str:
    return strict_json.compact(list(configurations)).decode("utf-8")


def load(column: str) -> tuple[str, ...]:
    return tuple(strict_json.parse(column, what="configurations"))
