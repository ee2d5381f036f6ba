"""Form bodies, read strictly."""

import pytest

from identity.errors import ProtocolError
from identity.openid4vp import form


def parse(body: bytes) -> dict[str, str]:
    return form.parse(body, what="form", max_bytes=100)


def test_round_trip() -> None:
    fields = {"a": "x y&z=1", "b": "", "ç": "ñ%+"}
    assert parse(form.format(fields)) == fields
    assert parse(b"") == {}
    assert parse(b"a=b=c") == {"a": "b=c"}


@pytest.mark.parametrize(
    "body",
    [
        b"a=1&a=1",
        b"a=1&%61=2",
        b"a",
        b"=1",
        b"a=1&",
        b"a=%",
        b"a=%4",
        b"a=%zz",
        b"a=%ff",
        b"a=\xff",
        b"a=1 2",
        b"a=1\n",
        b"&".join(b"%c=" % n for n in range(65, 98)),
        b"a=" + b"1" * 99,
    ],
    ids=repr,
)
def test_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse(body)
    assert caught.value.code == "invalid_request"
