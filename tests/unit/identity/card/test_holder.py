"""Names and numbers of a certificate: what they say, and the tricks that make them say something else."""

import warnings
from datetime import date

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from identity.card.holder import Holder, nif_letter, read_holder
from identity.card.profile import bundled, read_profile
from identity.errors import CardError
from tests.unit.identity.card.mint import BORN, COMMON_NAME, GIVEN_NAME, NIF, PERSONAL, Mint, name, person_name
from tests.unit.identity.card.test_profile import GOOD

SANDBOX = bundled("sandbox")
C, NUMBER, SN, GN, CN = (
    NameOID.COUNTRY_NAME, NameOID.SERIAL_NUMBER, NameOID.SURNAME, NameOID.GIVEN_NAME, NameOID.COMMON_NAME,
)  # fmt: skip


def read(mint: Mint, subject: x509.Name | None = None, *, directory: bytes | None = BORN) -> Holder:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return read_holder(mint.card(subject=subject or person_name(), directory=directory).certificate, SANDBOX)


def refused(mint: Mint, why: str, subject: x509.Name | None = None, *, directory: bytes | None = BORN) -> None:
    with pytest.raises(CardError, match=why) as caught:
        read(mint, subject, directory=directory)
    assert not any(value in str(caught.value) for value in PERSONAL)


def directory(*dates: bytes, oid: str = "1.3.6.1.5.5.7.9.1") -> bytes:
    from asn1crypto import core
    from asn1crypto import x509 as asn1_x509

    values = [core.GeneralizedTime(contents=value) for value in dates]
    found: bytes = asn1_x509.Attributes([{"type": oid, "values": values}]).dump()
    return found


def test_the_holder(mint: Mint) -> None:
    assert read(mint) == Holder(NIF, GIVEN_NAME, "PUIG I NÚÑEZ", date(1980, 2, 3))


def test_the_text_form_hides_the_person(mint: Mint) -> None:
    assert repr(read(mint)) == "Holder()"


@pytest.mark.parametrize(
    ("surname", "given_name", "common_name", "family_name"),
    [
        ("PUIG", "ANNA", "PUIG, ANNA (AUTENTICACIÓN)", "PUIG"),
        ("PUIG ROCA", "ANNA", "PUIG ROCA, ANNA (AUTENTICACIÓN)", "PUIG ROCA"),
        ("DE LA O", "Mª DEL MAR", "DE LA O D'ORS, Mª DEL MAR (AUTENTICACIÓN)", "DE LA O D'ORS"),
        ("GIL·LA", "JOSEP-LLUÍS", "GIL·LA ŁUKASZ, JOSEP-LLUÍS (AUTENTICACIÓN)", "GIL·LA ŁUKASZ"),
        ("X" * 60, "Y" * 30, f"{'X' * 60} Z, {'Y' * 30} (AUTENTICACIÓN)", f"{'X' * 60} Z"),
    ],
)
def test_names(mint: Mint, surname: str, given_name: str, common_name: str, family_name: str) -> None:
    found = read(mint, person_name(surname=surname, given_name=given_name, common_name=common_name))
    assert (found.given_name, found.family_name) == (given_name, family_name)


@pytest.mark.parametrize(
    ("number", "read_as"),
    [
        ("12345678Z", "12345678Z"),
        ("IDCES-12345678Z", "12345678Z"),
        ("00000000T", "00000000T"),
        ("X1234567L", "X1234567L"),
        ("Y1234567X", "Y1234567X"),
        ("IDCES-Z1234567R", "Z1234567R"),
    ],
)
def test_numbers(mint: Mint, number: str, read_as: str) -> None:
    assert read(mint, person_name(number=number)).id_number == read_as


@pytest.mark.parametrize(
    "number",
    [
        "12345678A", "12345678", "2345678Z", "123456789Z", "12345678z", "12345678-Z", " 12345678Z", "12345678Z ",
        "PASES-12345678Z", "VATES-12345678Z", "IDCPT-12345678Z", "IDCES12345678Z", "idces-12345678Z",
        "IDCES-IDCES-12345678Z", "W1234567L", "X12345678L", "PNOEE-38001085718", "12345678Z/X", "-",
    ],
)  # fmt: skip
def test_other_numbers(mint: Mint, number: str) -> None:
    refused(mint, "number is no NIF or NIE", person_name(number=number))


def utf8(*, number: str) -> x509.Name:
    """The number as UTF8String: a PrintableString cannot hold what these tricks need."""
    return x509.Name(
        [
            x509.NameAttribute(oid, number, _ASN1Type.UTF8String) if oid == NUMBER else x509.NameAttribute(oid, value)
            for oid, value in ((C, "ES"), (NUMBER, ""), (SN, "PUIG"), (GN, GIVEN_NAME), (CN, COMMON_NAME))
        ]
    )


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("１２３４５６７８Z", "not ASCII"),
        ("12345678Ｚ", "not Latin"),
        ("12345678\u0396", "not Latin"),
        ("12345678Z\0", "cannot be seen"),
        ("12345678Z\n", "cannot be seen"),
    ],
)
def test_numbers_that_only_look_right(mint: Mint, number: str, why: str) -> None:
    refused(mint, why, utf8(number=number))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"surname": "PUIG\0"}, "cannot be seen"),
        ({"given_name": "MARIA\u202eALEGNA"}, "cannot be seen"),
        ({"given_name": "MARIA\u200b"}, "cannot be seen"),
        ({"surname": "PUIG\u00a0"}, "cannot be seen"),
        ({"surname": "PUIG\ue000"}, "cannot be seen"),
        ({"given_name": "MARIA A\u0300NGELA"}, "NFC"),
        ({"given_name": "Q\u0301"}, "changes another"),
        ({"surname": "PUI\u0413"}, "not Latin"),
        ({"given_name": "M\u0410RIA"}, "not Latin"),
        ({"surname": "ＰＵＩＧ"}, "not Latin"),
        ({"given_name": "MARIA2"}, "what names do not hold"),
        ({"given_name": "MARIA, ANNA"}, "what names do not hold"),
        ({"given_name": "MARIA=ANNA"}, "what names do not hold"),
        ({"given_name": "---"}, "no letter"),
        ({"given_name": " MARIA"}, "spaces"),
        ({"surname": "PUIG  ROCA"}, "spaces"),
        ({"common_name": "ROCA, MARIA ÀNGELA (AUTENTICACIÓN)"}, "common name does not say the same"),
        ({"common_name": "PUIGROCA, MARIA ÀNGELA (AUTENTICACIÓN)"}, "common name does not say the same"),
        ({"common_name": "PUIG I NÚÑEZ, MARIA (AUTENTICACIÓN)"}, "common name does not say the same"),
        ({"common_name": "PUIG I NÚÑEZ, MARIA ÀNGELA (FIRMA)"}, "common name does not say the same"),
        ({"common_name": "PUIG I NÚÑEZ, MARIA ÀNGELA"}, "common name does not say the same"),
        ({"common_name": "PUIG 2, MARIA ÀNGELA (AUTENTICACIÓN)"}, "what names do not hold"),
        ({"common_name": "PUIG SERIALNUMBER=1, MARIA ÀNGELA (AUTENTICACIÓN)"}, "what names do not hold"),
        ({"common_name": "PUIG " + "X" * 260}, "256 characters"),
    ],
)
def test_names_that_say_something_else(mint: Mint, change: dict[str, str], why: str) -> None:
    refused(mint, why, person_name(**change))


@pytest.mark.parametrize("missing", [NUMBER, SN, GN, CN])
def test_a_missing_part(mint: Mint, missing: x509.ObjectIdentifier) -> None:
    refused(mint, "is missing", x509.Name([part for part in person_name().rdns if next(iter(part)).oid != missing]))


@pytest.mark.parametrize("country", ["PT", "EE"])
def test_another_country(mint: Mint, country: str) -> None:
    values = [(part.oid, country if part.oid == C else str(part.value)) for part in person_name()]
    refused(mint, "country is not ES", name(*values))


def test_no_country(mint: Mint) -> None:
    refused(mint, "country is not ES", x509.Name(person_name().rdns[1:]))


@pytest.mark.parametrize(
    ("oid", "value"), [(NUMBER, "00000000T"), (CN, COMMON_NAME), (SN, "ROCA"), (GN, "ANNA"), (C, "ES")]
)
def test_an_attribute_twice(mint: Mint, oid: x509.ObjectIdentifier, value: str) -> None:
    again = x509.RelativeDistinguishedName([x509.NameAttribute(oid, value)])
    refused(mint, "stands twice", x509.Name([*person_name().rdns, again]))


def test_two_attributes_in_one_part(mint: Mint) -> None:
    first, second, *rest = person_name().rdns
    refused(mint, "two attributes in one part", x509.Name([x509.RelativeDistinguishedName([*first, *second]), *rest]))


def test_a_name_of_many_parts(mint: Mint) -> None:
    more = [
        x509.RelativeDistinguishedName([x509.NameAttribute(x509.ObjectIdentifier(f"1.2.3.{n}"), "x")])
        for n in range(20)
    ]
    refused(mint, "more than 16 parts", x509.Name([*person_name().rdns, *more]))


def test_a_part_that_is_no_text(mint: Mint) -> None:
    bits = x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"\0\1", _ASN1Type.BitString)
    refused(mint, "not a text", x509.Name([*person_name().rdns, x509.RelativeDistinguishedName([bits])]))


def test_a_card_without_birth_date(mint: Mint) -> None:
    assert read(mint, directory=None).birth_date is None
    assert read(mint, directory=directory(b"19800203120000Z", oid="1.3.6.1.5.5.7.9.3")).birth_date is None


def test_a_profile_that_reads_no_birth_date(mint: Mint) -> None:
    profile = read_profile(GOOD.replace("birth_date = true", "birth_date = false"))
    assert read_holder(mint.card().certificate, profile).birth_date is None


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (directory(b"19800203120000Z", b"19900203120000Z"), "two dates"),
        (directory(b"19800203120000Z") + b"\0", "cannot be read"),
        (directory(b"1980"), "cannot be read"),
        (directory(b"19800203120000"), "cannot be read"),
        (directory(b"19801303120000Z"), "cannot be read"),
        (directory(b"\xff\xff"), "cannot be read"),
        (directory(b"18000203120000Z"), "no date"),
        (directory(b"21800203120000Z"), "no date"),
        (b"\x30\x03\x02\x01\x01", "cannot be read"),
        (b"\x05\x00", "cannot be read"),
        (b"\x30\x80", "cannot be read"),
        (b"", "cannot be read"),
        (directory(*[b"19800203120000Z"] * 300), "more than 4096"),
    ],
)
def test_birth_dates_that_are_none(mint: Mint, raw: bytes, why: str) -> None:
    refused(mint, why, directory=raw)


def test_letters() -> None:
    assert [nif_letter(digits) for digits in ("12345678", "00000000", "X1234567", "Y1234567")] == ["Z", "T", "L", "X"]
