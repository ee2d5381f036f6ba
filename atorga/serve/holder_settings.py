"""What the configuration of a data holder says, besides the service's head.

The long form, for registers of any shape:

[holder]
party = "urn:atorga:party:hacienda"    # in the signed list, role holder
key = "hacienda.pem"                   # file: its registry key (PEM)
hpke_key = "hpke.json"                 # file: the declared X25519 key (private JWK)
previous_hpke_key = "hpke-old.json"    # the one declared before it; optional
consent = "urn:atorga:party:consent"   # whom it asks
log_vkey = "consent.example/log/2026+…"  # the pinned log key
issuer_anchors = "issuers.pem"         # roots of credentials and status lists
keyed_hash = "run/hashes.sock"         # a keyed-hash process with scope first-value; optional, else a key file in data

[witnesses]                            # for sensitive purposes, which are refused without; optional
keys = ["witness.example+…"]
threshold = 1

[declaration]                          # what it declares at the consent service (C13)
id = "padron-income"
version = 1                            # must rise when anything below changes
vct = "urn:atorga:person-id:1"
path = ["personal_administrative_number"]
[declaration.attributes."income.band"]
category = "https://w3id.org/dpv/pd#Income"
resolutions = ["raw", "binned:eur-6"]  # finest first
purposes = ["https://w3id.org/dpv#…"]

[register]
url = "sqlite:///register.sqlite"      # any SQLAlchemy address
[register.row]                         # the declared claim → the register's own row key; or table, column, by
query = "SELECT row_id FROM resident WHERE nif = :value"
[register.attributes."income.band"]    # query, or table, column, by; for average:SECONDS a series with :row and :since
type = "integer"                       # integer, number, text, boolean
query = "SELECT amount_eur FROM income WHERE row_id = :row ORDER BY year DESC LIMIT 1"

[resolutions."binned:eur-6"]           # binned: edges and labels ("1", "2" … where there are none)
edges = [9000, 15000, 21000, 30000, 45000]
[resolutions."predicate:below-iprem-3"]  # predicate: below or at_least; coarse: step, or map
below = 25200

The short form, for one table with a column for the row's key and one for the declared claim, is in
``atorga.serve.holder_short``; it takes the place of [declaration], [register] and [resolutions].
"""

from dataclasses import dataclass
from pathlib import Path

from atorga.serve import holder_short, witness_quorum
from atorga.serve.holder_tables import Holding, read_declaration, read_register, read_resolutions
from atorga.serve.settings import ConfigurationError, ServiceHead, Table
from consent.errors import LogError
from consent.log.note import NoteKey
from consent.log.quorum import Quorum


@dataclass(frozen=True, slots=True)
class HolderSettings:
    head: ServiceHead
    party: str
    key: Path
    hpke_keys: tuple[Path, ...]
    """The declared key, and the previous one where there is one."""
    consent: str
    log_vkey: str
    issuer_anchors: Path
    quorum: Quorum | None
    keyed_hash: Path | None
    holding: Holding


def settings(head: ServiceHead, root: Table) -> HolderSettings:
    """Raises ConfigurationError."""
    table = root.table("holder")
    previous = table.optional_path("previous_hpke_key")
    made = HolderSettings(
        head=head,
        party=table.text("party"),
        key=table.path("key"),
        hpke_keys=(table.path("hpke_key"), *([previous] if previous else [])),
        consent=table.text("consent"),
        log_vkey=table.text("log_vkey"),
        issuer_anchors=table.path("issuer_anchors"),
        quorum=_quorum(root.optional_table("witnesses")),
        keyed_hash=table.optional_path("keyed_hash"),
        holding=_holding(root),
    )
    table.done()
    if head.registry_url is None or head.registry_anchors is None:
        raise ConfigurationError("[registry]: a data holder needs the signed list")
    try:
        NoteKey.parse(made.log_vkey)
    except LogError as fault:
        raise ConfigurationError(f"[holder] log_vkey: {fault}") from None
    return made


def _holding(root: Table) -> Holding:
    if "declaration" not in root:
        return holder_short.read(root)
    return Holding(
        read_declaration(root.table("declaration")),
        read_register(root.table("register")),
        read_resolutions(root.tables("resolutions")),
    )


def _quorum(table: Table | None) -> Quorum | None:
    if table is None:
        return None
    quorum, _ = witness_quorum.read(table)
    table.done()
    return quorum
